# SPDX-License-Identifier: Apache-2.0
"""What this node does for each service port, read from the kernel's counters.

- :mod:`dataplane.traffic.reader`: one reading after the other, and the rates between them.
- :mod:`dataplane.traffic.services`, :mod:`dataplane.traffic.top`: the commands of these names.
- :mod:`dataplane.traffic.totals`: totals by Service, for metrics.
- :mod:`dataplane.traffic.screen`: a table that keeps up to date in a terminal.
"""
