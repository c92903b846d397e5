# SPDX-License-Identifier: Apache-2.0
"""Rules as plain values that any JSON encoder takes, for programs that read a dump.

The form is stable: fields may be added, none is renamed or removed. From the outside in::

    {FAMILY: {TABLE: {"chains": {NAME: [RULE...]}, "hooks": [{"chain": NAME, "rule": RULE}...],
                      "sharedChains": [NAME...],
                      "clientSets": [{"name": NAME, "timeoutSeconds": N}...]}}}

FAMILY is ``ipv4`` or ``ipv6``, TABLE is ``filter`` or ``nat``. ``chains`` are the agent's alone,
sorted by name; ``hooks`` stand first, in this order, in chains that others use too;
``sharedChains`` are user chains that hooks need and nobody deletes; ``clientSets`` are the sets
(``ipset``, type ``hash:ip``) that rules name, left out where there are none.

A RULE has these fields, of which those that say nothing are left out:

- ``target``, always there, with exactly one of ``{"jump": NAME}``, ``{"verdict": "ACCEPT"}`` (or
  DROP, RETURN), ``{"setMark": {"value": N, "mask": N}}`` (clear the mask's bits, then xor the
  value), ``{"masquerade": {"randomFully": true}}``, ``{"dnat": {"address": IP, "port": N}}``,
  ``{"reject": {"with": TYPE}}``, ``{"addToSet": {"name": NAME, "timeoutSeconds": N}}`` (the
  source, for so long from now on; then the next rule);
- ``protocol``: tcp, udp or sctp;
- ``source``, ``destination`` (networks), ``inInterface`` (a name, or a prefix and ``+``); each is
  negated if ``notSource``, ``notDestination``, ``notInInterface`` is true;
- ``matches``, a list in the kernel's order, each with exactly one of ``{"comment": TEXT}``,
  ``{"port": {"protocol": P, "destination": N}}`` (no destination: any port; with ``last``: all
  from the one to the other),
  ``{"mark": {"value": N, "mask": N, "negated": BOOL}}``,
  ``{"addressType": {"source": "LOCAL"}}`` (or destination),
  ``{"conntrackState": {"states": [STATE...], "negated": BOOL}}``,
  ``{"statistic": {"fraction": N}}`` (matches N times in 2**31),
  ``{"recent": {"list": NAME, "action": "set"}}`` (or rcheck, then with ``seconds``),
  ``{"set": {"name": NAME}}`` (the source is in the set).
"""

from __future__ import annotations

from collections.abc import Mapping

from rules.ir import (
    VERDICTS,
    AddressType,
    AddToSet,
    Comment,
    ConntrackState,
    Dnat,
    Family,
    MarkMatch,
    Masquerade,
    Match,
    PortMatch,
    Recent,
    Reject,
    Rule,
    SetMark,
    SetMatch,
    Statistic,
    Table,
    Tables,
    Target,
)
from rules.text import REJECT_WITH, kept_comment, state_list

JsonObject = dict[str, object]


def json_families(families: Mapping[Family, Tables]) -> JsonObject:
    """The tables of all ``families``."""
    return {family.value: json_tables(tables, family) for family, tables in families.items()}


def json_tables(tables: Tables, family: Family) -> JsonObject:
    """All ``tables`` of one family by name."""
    return {table.name.value: _table(table, family) for table in tables.values()}


def json_rule(rule: Rule, family: Family) -> JsonObject:
    """One rule."""
    fields: JsonObject = {
        "target": _target(rule.target, family),
        "protocol": rule.protocol,
        "source": rule.source,
        "notSource": rule.not_source,
        "destination": rule.destination,
        "notDestination": rule.not_destination,
        "inInterface": rule.in_interface,
        "notInInterface": rule.not_in_interface,
        "matches": [_match(match) for match in rule.matches],
    }
    return {name: value for name, value in fields.items() if value}


def _table(table: Table, family: Family) -> JsonObject:
    sets = [
        {"name": one.name, "timeoutSeconds": one.timeout_seconds}
        for one in sorted(table.client_sets)
    ]
    return {
        "chains": {
            chain: [json_rule(rule, family) for rule in table.chains[chain]]
            for chain in sorted(table.chains)
        },
        "hooks": [
            {"chain": hook.chain, "rule": json_rule(hook.rule, family)} for hook in table.hooks
        ],
        "sharedChains": list(table.shared_chains),
        **({"clientSets": sets} if sets else {}),
    }


def _target(target: Target, family: Family) -> JsonObject:
    match target:
        case str():
            return {"verdict" if target in VERDICTS else "jump": target}
        case SetMark(value, mask):
            return {"setMark": {"value": value, "mask": mask}}
        case Masquerade():
            return {"masquerade": {"randomFully": True}}
        case Dnat(address, port):
            return {"dnat": {"address": address, "port": port}}
        case Reject():
            return {"reject": {"with": REJECT_WITH[family]}}
        case AddToSet(name, seconds):
            return {"addToSet": {"name": name, "timeoutSeconds": seconds}}


def _match(match: Match) -> JsonObject:  # noqa: PLR0911 - one case for each kind
    match match:
        case Comment(text):
            return {"comment": kept_comment(text)}
        case PortMatch(protocol, first, last):
            ports = {"destination": first, "last": last}
            asked_for = {name: port for name, port in ports.items() if port is not None}
            return {"port": {"protocol": protocol, **asked_for}}
        case MarkMatch(value, mask, negated):
            return {"mark": {"value": value, "mask": mask, "negated": negated}}
        case AddressType(source_local, destination_local):
            sides = {"source": source_local, "destination": destination_local}
            return {"addressType": {side: "LOCAL" for side, local in sides.items() if local}}
        case ConntrackState(_, negated):
            states = state_list(match).split(",")
            return {"conntrackState": {"states": states, "negated": negated}}
        case Statistic(fraction):
            return {"statistic": {"fraction": fraction}}
        case Recent(name, None):
            return {"recent": {"list": name, "action": "set"}}
        case Recent(name, seconds):
            return {"recent": {"list": name, "action": "rcheck", "seconds": seconds}}
        case SetMatch(name):
            return {"set": {"name": name}}
