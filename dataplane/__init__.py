# SPDX-License-Identifier: Apache-2.0
"""The agent: sources -> state -> rules -> diff -> kernel -> reports.

- :mod:`dataplane.sources`: Services, EndpointSlices and the Node from a cluster or from files.
- :mod:`dataplane.state`: what the sources have told so far.
- :mod:`dataplane.kernel`: rules as kernel entries, and the transactions that put them there.
- :mod:`dataplane.sync`: one pass from state to kernel; :mod:`dataplane.agent` decides when.
- :mod:`dataplane.conntrack`, :mod:`dataplane.serving`, :mod:`dataplane.reports`: those who follow
  each sync.
- :mod:`dataplane.status`: what they left, for a browser.
- :mod:`dataplane.netlink`: what they exchange with netfilter besides tables.
- :mod:`dataplane.config`: kube-proxy's configuration file; :mod:`dataplane.settings`: what the
  operator chose, from the file and from flags.
- :mod:`dataplane.dump`, :mod:`dataplane.diff`, :mod:`dataplane.trace`: what is desired, what of it
  the kernel lacks, and where a packet goes.
- :mod:`dataplane.cli`: the commands; :mod:`dataplane.run` puts the agent together.

Side effects live here; what should stand in the kernel is decided by :mod:`rules`.
"""
