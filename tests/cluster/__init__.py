# SPDX-License-Identifier: Apache-2.0
"""The installed command in a cluster of real Kubernetes programs, and next to kube-proxy.

``make cluster-test`` runs these tests; others do not need the programs, which take long to build.
"""
