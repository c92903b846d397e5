# SPDX-License-Identifier: Apache-2.0
"""The scenarios of tests/e2e in a kind cluster, with the agent installed in kube-proxy's place.

- ``e2e.sh``: creates the cluster, installs the agent, runs the scenarios, and removes it all.
- ``cluster.yaml``: the cluster.
- :mod:`kind.manifests`: the shipped manifests, made to fit that cluster.
"""
