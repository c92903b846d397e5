# SPDX-License-Identifier: Apache-2.0
"""``make bench``: how fast the agent is, side by side with others.

:mod:`bench.cluster` compares it at work with kube-proxy. What follows is ``make bench-parts``: its
parts, next to ``iptables-legacy-restore``.

Each measurement runs in a process of its own that holds what an agent would hold, with the
interpreter's settings (garbage collection among them) as the agent has them. Ours and the peer take
turns, each on a machine of its own with the same rules, so that noise meets both alike.

- :mod:`bench.suite`: all measurements, in order.
- :mod:`bench.building`, :mod:`bench.loading`, :mod:`bench.steady`: the measurements.
- :mod:`bench.phases`: what of our time is spent in the kernel, in libiptc, and in our own code.
- :mod:`bench.objects`: the cluster that is measured with.
- :mod:`bench.rewrite`: the least that a restore has to say to follow a change of one Service.
- :mod:`bench.place`: the machines, and the peer on them.
- :mod:`bench.clock`, :mod:`bench.results`, :mod:`bench.report`: times, limits, verdicts, output.
"""
