# SPDX-License-Identifier: Apache-2.0
"""The scenarios of tests/e2e in a kind cluster, with the agent installed in kube-proxy's place.

- ``e2e.sh``: creates the cluster, installs the agent, runs the scenarios, and removes it all.
- ``cluster.yaml``: the cluster.
- :mod:`kind.manifests`: the shipped manifests, made to fit that cluster.
- :mod:`kind.inside`: what runs in pods, brought there by :mod:`kind.package`; it serves, and asks
  what it reads as lines of :mod:`kind.wire`.
- :mod:`kind.remote`: the other end of it, with a :mod:`kind.asker` for each question at a time.

How the runner uses them is in :mod:`tests.e2e.kind`.
"""
