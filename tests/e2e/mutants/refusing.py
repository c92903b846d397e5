# SPDX-License-Identifier: Apache-2.0
"""Faults by which packets pass that should not, or the other way round."""

from __future__ import annotations

from typing import Final

from rules import names, service_port
from rules.ir import ACCEPT, DROP, Reject, Rule, TableName
from rules.source_ranges import Admission
from tests.e2e.mutants.faults import in_result_of, in_rules, leads_to, without_rules
from tests.e2e.mutants.mutant import Mutant

_FILTER: Final = TableName.FILTER
_REJECTS: Final = Reject()


def _refuses_a_vip(rule: Rule) -> bool:
    return bool(rule.destination)


def _refuses_a_node_port(rule: Rule) -> bool:
    return not rule.destination


def _dropping(rule: Rule) -> Rule:
    return rule._replace(target=DROP) if rule.target == _REJECTS else rule


def _rejecting(rule: Rule) -> Rule:
    return rule._replace(target=_REJECTS) if rule.target == DROP else rule


REFUSING: Final = (
    Mutant(
        "cluster-ip-not-rejected",
        "A cluster IP without endpoints is left to the routes.",
        without_rules(_FILTER, names.SERVICES, _refuses_a_vip),
        ("no-endpoints",),
        "to 10.*expected refused, got",
    ),
    Mutant(
        "external-ip-not-rejected",
        "An external or ingress IP without endpoints is left to the routes.",
        without_rules(_FILTER, names.EXTERNAL_SERVICES, _refuses_a_vip),
        ("no-endpoints",),
        "to 198.*expected refused, got",
    ),
    Mutant(
        "node-port-not-rejected",
        "A node port without endpoints is left to whoever listens on the node.",
        without_rules(_FILTER, names.EXTERNAL_SERVICES, _refuses_a_node_port),
        ("node-port-without-endpoints",),
        "expected refused, got Answered",
    ),
    Mutant(
        "dropped-not-rejected",
        "Clients of a Service without endpoints wait, and are told nothing.",
        in_rules(_FILTER, "KUBE-", _dropping),
        ("no-endpoints",),
        "expected refused, got TimedOut",
    ),
    Mutant(
        "rejected-not-dropped",
        "A node without endpoints of its own refuses what another node could serve.",
        in_rules(_FILTER, names.EXTERNAL_SERVICES, _rejecting),
        ("external-policy-local-inside",),
        "expected dropped, got Refused",
    ),
    Mutant(
        "source-ranges-not-applied",
        "A load balancer's VIP is open to everybody, whatever its ranges are.",
        in_result_of(service_port, "admission", lambda _: Admission(everybody=True)),
        ("load-balancer",),
        "expected dropped, got Answered",
    ),
    Mutant(
        "node-not-admitted",
        "A node in the ranges is kept from a VIP that is its own address.",
        in_result_of(
            service_port, "admission", lambda admission: admission._replace(node_itself=False)
        ),
        ("load-balancer-on-own-address",),
        "node/node-a to 10.*got TimedOut",
    ),
    Mutant(
        "drop-mark-not-set",
        "KUBE-FW leaves those who are not in the ranges to whoever listens on the node.",
        without_rules(TableName.NAT, names.LOAD_BALANCER_PREFIX, leads_to(names.MARK_DROP)),
        ("load-balancer-on-own-address",),
        "expected dropped, got Answered",
    ),
    Mutant(
        "marked-not-dropped",
        "What is marked for dropping is not dropped.",
        without_rules(_FILTER, names.PROXY_FIREWALL, leads_to(DROP)),
        ("load-balancer-on-own-address",),
        "expected dropped, got Answered",
    ),
    Mutant(
        "forwarding-not-accepted",
        "A node whose firewall forwards nothing forwards nothing to endpoints either.",
        without_rules(_FILTER, names.FORWARD, leads_to(ACCEPT)),
        ("forward-firewall",),
        "client to .*got TimedOut",
    ),
    Mutant(
        "health-check-not-accepted",
        "A node's firewall keeps load balancers from the health-check port.",
        without_rules(_FILTER, names.NODE_PORTS, leads_to(ACCEPT)),
        ("health-check-firewall",),
        "healthz: timed out",
    ),
)
