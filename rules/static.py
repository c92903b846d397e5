# SPDX-License-Identifier: Apache-2.0
"""The rules that stand whatever the Services are: hooks, marks, masquerading, forwarding.

The order of the hooks in one built-in chain matters: packets marked for dropping must be dropped
before KUBE-FORWARD accepts those marked for masquerading, since a packet to a load-balancer VIP can
carry both marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rules import names
from rules.addresses import host_network
from rules.context import FamilyContext
from rules.ir import (
    ACCEPT,
    DROP,
    RETURN,
    AddressType,
    Comment,
    ConntrackState,
    Family,
    Hook,
    MarkMatch,
    Masquerade,
    Rule,
    Rules,
    SetMark,
)

_NEW = ConntrackState(frozenset({"NEW"}))
_LOOPBACK = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1/128"}

_PORTALS = Comment("kubernetes service portals")
_EXTERNAL_PORTALS = Comment("kubernetes externally-visible service portals")
_FIREWALL = Comment("kubernetes load balancer firewall")

NAT_HOOKS = (
    Hook("PREROUTING", Rule(names.SERVICES, (_PORTALS,))),
    Hook("OUTPUT", Rule(names.SERVICES, (_PORTALS,))),
    Hook("POSTROUTING", Rule(names.POSTROUTING, (Comment("kubernetes postrouting rules"),))),
)

_FIREWALL_RULE = Rule(names.PROXY_FIREWALL, (_NEW, _FIREWALL))
_SERVICES_RULE = Rule(names.SERVICES, (_NEW, _PORTALS))
_EXTERNAL_SERVICES_RULE = Rule(names.EXTERNAL_SERVICES, (_NEW, _EXTERNAL_PORTALS))
_HEALTH_CHECK_RULE = Rule(names.NODE_PORTS, (Comment("kubernetes health check service ports"),))
_FORWARD_RULE = Rule(names.FORWARD, (Comment("kubernetes forwarding rules"),))

FILTER_HOOKS = (
    Hook("INPUT", _FIREWALL_RULE),
    Hook("INPUT", _HEALTH_CHECK_RULE),
    Hook("INPUT", _EXTERNAL_SERVICES_RULE),
    Hook("FORWARD", _FIREWALL_RULE),
    Hook("FORWARD", _FORWARD_RULE),
    Hook("FORWARD", _SERVICES_RULE),
    Hook("FORWARD", _EXTERNAL_SERVICES_RULE),
    Hook("OUTPUT", _FIREWALL_RULE),
    Hook("OUTPUT", _SERVICES_RULE),
)

_KUBELET_FIREWALL_HOOKS = (
    Hook("INPUT", Rule(names.KUBELET_FIREWALL)),
    Hook("OUTPUT", Rule(names.KUBELET_FIREWALL)),
    # Services on 127.0.0.0/8 must not become reachable from the network when route_localnet is on
    # (CVE-2020-8558). Kubelet puts the same rule there, so it has to be equal to the byte.
    Hook(
        names.KUBELET_FIREWALL,
        Rule(
            DROP,
            (
                Comment("block incoming localnet connections"),
                ConntrackState(frozenset({"RELATED", "ESTABLISHED", "DNAT"}), negated=True),
            ),
            source="127.0.0.0/8",
            destination="127.0.0.0/8",
            not_source=True,
        ),
    ),
)


def filter_hooks(context: FamilyContext) -> tuple[Hook, ...]:
    """The hooks of the filter table; kubelet's chain only where localhost node ports need it."""
    if context.localhost_node_ports:
        return FILTER_HOOKS + _KUBELET_FIREWALL_HOOKS
    return FILTER_HOOKS


def filter_shared_chains(context: FamilyContext) -> tuple[str, ...]:
    """User chains of the filter table that the hooks need and others use too."""
    return (names.KUBELET_FIREWALL,) if context.localhost_node_ports else ()


def nat_chains(context: FamilyContext) -> Mapping[str, Rules]:
    """The fixed chains of nat, besides the shared ones that services add to."""
    mark = context.masquerade_mark
    return {
        names.MARK_MASQ: (Rule(SetMark(mark, mark)),),
        names.MARK_DROP: (Rule(SetMark(context.drop_mark, context.drop_mark)),),
        names.POSTROUTING: (
            Rule(RETURN, (MarkMatch(mark, mark, negated=True),)),
            # Cleared so that a packet that passes here twice (as in a tunnel) is judged anew.
            Rule(SetMark(mark, 0)),
            Rule(Masquerade(), (Comment("kubernetes service traffic requiring SNAT"),)),
        ),
    }


def filter_chains(context: FamilyContext) -> Mapping[str, Rules]:
    """The fixed chains of the filter table, besides the shared ones that services add to."""
    mark, drop_mark = context.masquerade_mark, context.drop_mark
    return {
        names.PROXY_FIREWALL: (Rule(DROP, (_FIREWALL, MarkMatch(drop_mark, drop_mark))),),
        names.FORWARD: (
            # A packet that conntrack did not understand would leave with its address untranslated.
            *(
                [Rule(DROP, (ConntrackState(frozenset({"INVALID"})),))]
                if context.drop_invalid
                else []
            ),
            Rule(ACCEPT, (Comment("kubernetes forwarding rules"), MarkMatch(mark, mark))),
            Rule(
                ACCEPT,
                (
                    Comment("kubernetes forwarding conntrack rule"),
                    ConntrackState(frozenset({"RELATED", "ESTABLISHED"})),
                ),
            ),
        ),
    }


def node_port_jumps(context: FamilyContext) -> Iterator[Rule]:
    """The last rules of nat's KUBE-SERVICES: what is for this node may be for a node port."""
    comment = Comment(
        "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    )
    if context.node_port_addresses is not None:
        for address in context.node_port_addresses:
            yield Rule(names.NODE_PORTS, (comment,), destination=host_network(address))
        return
    without_loopback = not context.localhost_node_ports
    yield Rule(
        names.NODE_PORTS,
        (comment, AddressType(destination_local=True)),
        destination=_LOOPBACK[context.family] if without_loopback else "",
        not_destination=without_loopback,
    )
