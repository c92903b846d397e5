# SPDX-License-Identifier: Apache-2.0
"""What becomes of a packet: followed through any set of rules, desired or read from a kernel.

The tracer knows what the kernel does with the rules of :mod:`rules.ir` and with what
:mod:`rules.trace.rule_set` adds for other people's. Where a rule asks what cannot be known here it
stops with an error; it never guesses. The nat and filter tables are followed; what other tables,
nftables or a missing route do to a packet is not seen.

How it reads:

- :mod:`rules.trace.packet`: the first packet of a connection, and how far it got.
- :mod:`rules.trace.rule_set`: the rules to follow, ours and others'.
- :mod:`rules.trace.matching`, :mod:`rules.trace.walk`: one rule, one built-in chain.
- :mod:`rules.trace.errors`: why they cannot be followed to the end.
- :mod:`rules.trace.tracer`: from chain to chain, as the kernel calls them.
- :mod:`rules.trace.refusal`: by which policy a packet was refused.
- :mod:`rules.trace.absence`: why an endpoint gets none of the packets.
- :mod:`rules.trace.words`, :mod:`rules.trace.jsonform`: a trace for people and for programs.
"""
