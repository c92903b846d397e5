# SPDX-License-Identifier: Apache-2.0
"""The same scenarios on a kind cluster that ``hack/kind/e2e.sh`` has made; see there.

- :mod:`tests.e2e.kind.selection`: which of them can be played there, and why not the others.
- :mod:`tests.e2e.kind.cluster`: the cluster, as the runner sees it.
- :mod:`tests.e2e.kind.machines`: its nodes, and a container outside of it that is the client.
- :mod:`tests.e2e.kind.pods`: real pods.
- :mod:`tests.e2e.kind.stand_in`: kubelets, kubectl and docker, to test all that without Docker.
"""
