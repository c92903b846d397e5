# SPDX-License-Identifier: Apache-2.0
"""From Services, EndpointSlices and a Node to the iptables rules that serve them.

The law of this package: it is pure. No input or output, clock, randomness, logging, environment or
threads; equal input gives byte-equal output, whatever the order in which it was learned. Whatever
touches a file, a socket or the kernel lives in :mod:`dataplane`, which may import this package and
never the other way round.

How it reads, in the order of the data's way:

- :mod:`rules.model`: what is known of Services, EndpointSlices and the Node.
- :mod:`rules.context`: the options of this node, seen by one IP family.
- :mod:`rules.affinity`: where clients with session affinity are remembered.
- :mod:`rules.endpoints`: which endpoints count for which traffic.
- :mod:`rules.service`, :mod:`rules.policy_chains`, :mod:`rules.external_chains`,
  :mod:`rules.rejects`: the rules of one Service.
- :mod:`rules.static`: the rules that stand whatever the Services are.
- :mod:`rules.dispatch`, :mod:`rules.places`: trees of chains by destination, for large clusters.
- :mod:`rules.endpoint_groups`: Services with very many endpoints there.
- :mod:`rules.build`: all of them as tables, rebuilding only what changed.
- :mod:`rules.flows`, :mod:`rules.health_checks`: what conntrack and load balancers need to know.
- :mod:`rules.check`: the structural invariants of a finished rule set.
- :mod:`rules.chain_groups`: which chains differ from before.
- :mod:`rules.news`: which Services and endpoints differ from before.
- :mod:`rules.diff`: the fewest edits from one chain to another.
- :mod:`rules.comparison`: how the kernel's chains differ from the desired ones, in print.
- :mod:`rules.trace`: what becomes of a packet that meets these rules, or others.
- :mod:`rules.traffic`: what the rules have counted, and for whom.
- :mod:`rules.text`, :mod:`rules.listing`, :mod:`rules.jsonform`: rules as ``iptables-save`` and
  ``iptables -nvL`` print them, and as JSON.
- :mod:`rules.names`, :mod:`rules.ir`, :mod:`rules.patterns`: the vocabulary of chains and rules
  that all of them share.
"""
