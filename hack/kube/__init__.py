# SPDX-License-Identifier: Apache-2.0
"""Real programs of Kubernetes on machines of the lab, for cluster tests and benchmarks.

- :mod:`kube.programs`: where they are.
- :mod:`kube.control_plane`: etcd and an API server.
- :mod:`kube.proxies`: the agent and kube-proxy on a node.
"""
