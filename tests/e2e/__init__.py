# SPDX-License-Identifier: Apache-2.0
"""Scenarios, written as data, on a cluster of network namespaces with a real control plane.

Read ``README.md`` for how to write one. Then, in this order:

- :mod:`tests.e2e.schema`: what a scenario is made of; :mod:`tests.e2e.loading` reads files of them.
- :mod:`tests.e2e.judging`: whether outcomes are what a scenario expects.
- :mod:`tests.e2e.running`: the steps of one scenario, and putting the cluster back in order.
- :mod:`tests.e2e.backend`: what they need of a cluster, whatever it is made of.
- :mod:`tests.e2e.cluster`: the cluster that all scenarios of a run share; :mod:`tests.e2e.kind` is
  the same on kind.
- :mod:`tests.e2e.document`, :mod:`tests.e2e.metallb`: the user's document on the same cluster.
- :mod:`tests.e2e.kubelets`: who starts pods where they are real; :mod:`tests.e2e.install` is
  ``hack/install.sh`` with them.
"""
