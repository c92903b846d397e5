# SPDX-License-Identifier: Apache-2.0
"""Faults by which packets do not find their service port, or find a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from dataplane.sources import decode
from rules import build, names, service, static
from rules.context import FamilyContext
from rules.ir import Family, Rule, Rules, TableName
from rules.model import Service, ServiceState
from rules.service import NO_RULES, ServiceRules, build_service
from tests.e2e.mutants.faults import (
    in_chains,
    in_place_of,
    in_result_of,
    leads_to,
    without_hooks,
    without_rules,
)
from tests.e2e.mutants.mutant import Mutant

_NAT: Final = TableName.NAT
_IS_NODE_PORT_JUMP: Final = leads_to(names.NODE_PORTS)
_node_port_jumps = static.node_port_jumps


def _ipv4_only(state: ServiceState, context: FamilyContext) -> ServiceRules:
    return build_service(state, context) if context.family is Family.IPV4 else NO_RULES


def _on_every_address(context: FamilyContext) -> Sequence[Rule]:
    return tuple(_node_port_jumps(replace(context, node_port_addresses=None)))


def _node_port_jumps_first(rules: Rules) -> Rules:
    return tuple(sorted(rules, key=lambda rule: not _IS_NODE_PORT_JUMP(rule)))


def _first_branch_only(rules: Rules) -> Rules:
    branches = [rule for rule in rules if names.is_dispatch_chain(str(rule.target))]
    return tuple(rule for rule in rules if rule not in branches[1:])


def _of_every_mode(status: Any) -> tuple[str, ...]:  # noqa: ANN401 - as Services have it
    if status is None or status.load_balancer is None:
        return ()
    return tuple(ingress.ip for ingress in status.load_balancer.ingress or () if ingress.ip)


def _all_tcp(service: Service) -> Service:
    return replace(service, ports=tuple(port._replace(protocol="tcp") for port in service.ports))


ENTERING: Final = (
    Mutant(
        "no-portal-for-nodes",
        "What a node sends itself does not pass KUBE-SERVICES.",
        without_hooks(_NAT, lambda hook: hook.chain == "OUTPUT"),
        ("cluster-ip",),
        "node/node-a to .*got TimedOut",
    ),
    Mutant(
        "no-portal-for-others",
        "What comes to a node does not pass KUBE-SERVICES.",
        without_hooks(_NAT, lambda hook: hook.chain == "PREROUTING"),
        ("cluster-ip",),
        "pod/asker to .*got TimedOut",
    ),
    Mutant(
        "ipv6-forgotten",
        "Services have no rules for IPv6.",
        in_place_of(build, "build_service", _ipv4_only),
        ("dual-stack",),
        "client to fd00:.*got TimedOut",
    ),
    Mutant(
        "first-port-only",
        "A Service has no port but the first.",
        in_result_of(service, "for_family", lambda one: replace(one, ports=one.ports[:1])),
        ("tcp-and-udp",),
        "TCP.*got TimedOut",
    ),
    Mutant(
        "udp-as-tcp",
        "UDP ports have rules for TCP.",
        in_result_of(service, "for_family", _all_tcp),
        ("tcp-and-udp",),
        "UDP.*got TimedOut",
    ),
    Mutant(
        "external-ips-forgotten",
        "External IPs have no rules.",
        in_result_of(service, "for_family", lambda one: replace(one, external_ips=())),
        ("external-ip",),
        "client to 198.*got TimedOut",
    ),
    Mutant(
        "ingress-ips-forgotten",
        "Ingress IPs have no rules.",
        in_result_of(service, "for_family", lambda one: replace(one, ingress_ips=())),
        ("load-balancer",),
        "client to 198.*got TimedOut",
    ),
    Mutant(
        "first-ingress-ip-only",
        "A load balancer has no VIP but the first.",
        in_result_of(
            service, "for_family", lambda one: replace(one, ingress_ips=one.ingress_ips[:1])
        ),
        ("ingress-addresses",),
        "client to 198.51.100.62 .*got TimedOut",
    ),
    Mutant(
        "ip-mode-ignored",
        "Ingress IPs of mode Proxy are taken past their load balancer.",
        in_place_of(decode, "_ingress_ips", _of_every_mode),
        ("ip-mode-proxy",),
        "expected dropped, got Answered",
    ),
    Mutant(
        "node-port-jump-missing",
        "KUBE-SERVICES does not lead to node ports.",
        without_rules(_NAT, names.SERVICES, _IS_NODE_PORT_JUMP),
        ("node-port",),
        "client to .*got Refused",
    ),
    Mutant(
        "node-port-jump-first",
        "A node port is found before the VIP that has the same number.",
        in_chains(_NAT, names.SERVICES, _node_port_jumps_first),
        ("vip-and-node-port",),
        "all of one, got two",
    ),
    Mutant(
        "node-ports-everywhere",
        "Node ports are served on all addresses of a node, whatever nodePortAddresses says.",
        in_place_of(static, "node_port_jumps", _on_every_address),
        ("node-port-to-pods",),
        "expected refused, got Answered",
    ),
    Mutant(
        "short-circuit-missing",
        "With policy Local, pods and nodes reach a VIP by their own node's endpoints only.",
        without_rules(
            _NAT,
            names.EXTERNAL_PREFIX,
            lambda rule: (
                str(rule.target).startswith(names.CLUSTER_POLICY_PREFIX) and bool(rule.matches)
            ),
        ),
        ("external-policy-local-inside",),
        "pod/asker to .*got TimedOut",
    ),
    Mutant(
        "tree-with-one-branch",
        "In a large cluster only the first branch of the dispatch tree is there.",
        in_chains(_NAT, names.NAT_DISPATCH_PREFIX, _first_branch_only),
        ("large-cluster",),
        "client to .*got TimedOut",
    ),
    Mutant(
        "node-port-tree-with-one-branch",
        "In a large cluster only the first range of node ports is there.",
        in_chains(_NAT, names.NODE_PORT_DISPATCH_PREFIX, _first_branch_only),
        ("large-cluster",),
        "client to .*got Refused",
    ),
)
