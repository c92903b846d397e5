# SPDX-License-Identifier: Apache-2.0
"""The agent and kube-proxy at work, side by side, from the same real API server.

- :mod:`bench.cluster.suite`, :mod:`bench.cluster.session`: all that is measured, in order.
- :mod:`bench.cluster.site`, :mod:`bench.cluster.echo`: the control plane, and a node with pods.
- :mod:`bench.cluster.manifests`, :mod:`bench.cluster.api`: what fills the cluster, and how.
- :mod:`bench.cluster.contenders`: who is compared.
- :mod:`bench.cluster.cases`, :mod:`bench.cluster.probing`: what they do, and how that is seen.
- :mod:`bench.cluster.paths`, :mod:`bench.cluster.loaded`: how long packets take through rules.
- :mod:`bench.cluster.meter`: how that is measured, by :mod:`bench.cluster.metering` (``/proc``),
  :mod:`bench.cluster.tracing` (events of the kernel) and :mod:`bench.cluster.kernel_view` (tables).
- :mod:`bench.cluster.costs`, :mod:`bench.cluster.limits`, :mod:`bench.cluster.rows`,
  :mod:`bench.cluster.report`, :mod:`bench.cluster.plots`: results, promises, output.
- :mod:`bench.cluster.sizes`: which clusters, and how long they take.
"""
