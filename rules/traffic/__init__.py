# SPDX-License-Identifier: Apache-2.0
"""What this node does for each service port, counted by the kernel's own counters of its rules.

The nat table sees the first packet of each connection only, so that its counters count connections
(for UDP, what conntrack takes for one). The filter table sees each packet that is refused.

How it reads:

- :mod:`rules.traffic.accounts`: what a rule of the kernel counts for, and for whom.
- :mod:`rules.traffic.tally`: readings of the counters, and what was added between two of them.
- :mod:`rules.traffic.report`: what is known of each service port, with its numbers.
- :mod:`rules.traffic.words`, :mod:`rules.traffic.jsonform`: the same for people and for programs.
"""
