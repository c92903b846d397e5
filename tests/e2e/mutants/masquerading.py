# SPDX-License-Identifier: Apache-2.0
"""Faults by which packets have the wrong source address."""

from __future__ import annotations

from typing import Final

from rules import names
from rules.ir import Masquerade, Rule, TableName
from tests.e2e.mutants.faults import in_rules, leads_to, without_rules
from tests.e2e.mutants.mutant import Mutant

_NAT: Final = TableName.NAT


def _for_all_sources(rule: Rule) -> Rule:
    return rule._replace(source="", not_source=False) if rule.not_source else rule


MASQUERADING: Final = (
    Mutant(
        "marked-not-masqueraded",
        "KUBE-POSTROUTING does not masquerade what is marked for it.",
        without_rules(_NAT, names.POSTROUTING, lambda rule: rule.target == Masquerade()),
        ("cluster-ip",),
        "client to .*got TimedOut",
    ),
    Mutant(
        "mark-not-set",
        "KUBE-MARK-MASQ is there, but marks nothing.",
        without_rules(_NAT, names.MARK_MASQ, lambda _: True),
        ("cluster-ip",),
        "client to .*got TimedOut",
    ),
    Mutant(
        "cluster-ip-not-masqueraded",
        "Who asks a cluster IP from outside keeps its address.",
        without_rules(_NAT, names.CLUSTER_POLICY_PREFIX, leads_to(names.MARK_MASQ)),
        ("cluster-ip",),
        "client to .*got TimedOut",
    ),
    Mutant(
        "pods-masqueraded",
        "Pods that ask a cluster IP lose their address, as if they were outside.",
        in_rules(_NAT, names.CLUSTER_POLICY_PREFIX, _for_all_sources),
        ("cluster-ip",),
        "expected the source to be kept",
    ),
    Mutant(
        "hairpin-not-masqueraded",
        "A pod that is led back to itself sees its own address.",
        without_rules(_NAT, names.ENDPOINT_PREFIX, leads_to(names.MARK_MASQ)),
        ("hairpin",),
        "pod/alone to .*got TimedOut",
    ),
    Mutant(
        "external-not-masqueraded",
        "KUBE-EXT leads to other nodes what does not come back from there.",
        without_rules(_NAT, names.EXTERNAL_PREFIX, leads_to(names.MARK_MASQ)),
        ("external-ip", "node-port"),
        "client to .*got TimedOut",
    ),
    Mutant(
        "load-balancer-not-masqueraded",
        "KUBE-FW leads to other nodes what does not come back from there.",
        without_rules(_NAT, names.LOAD_BALANCER_PREFIX, leads_to(names.MARK_MASQ)),
        ("load-balancer",),
        "client to 198.*got TimedOut",
    ),
)
