# SPDX-License-Identifier: Apache-2.0
"""Why an endpoint is not among those that a packet can reach."""

from __future__ import annotations

import pytest

from rules.build import build
from rules.model import ServiceType, SliceEndpoint, TrafficPolicy
from rules.trace.absence import Absence, Reason, absences
from rules.trace.rule_set import desired_rule_set
from rules.trace.tracer import Tracer
from tests.address_plan import IPV4, OTHER_NODE, OTHER_ZONE, THIS_NODE, ZONE, AddressPlan
from tests.builders import WEB, PodFields, context, local, remote, state
from tests.unit.rules.trace.support import packet, trace_services


def _absent(plan: AddressPlan, *endpoints: SliceEndpoint) -> dict[str, Reason]:
    """The endpoints that packets to the cluster IP do not reach."""
    trace = trace_services(plan, context(plan), state(plan, *endpoints))
    return {absence.endpoint: absence.reason for absence in trace.absences}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ready": False}, Reason.NOT_READY),
        ({"ready": False, "terminating": True}, Reason.TERMINATING),
        ({"ready": False, "serving": False, "terminating": True}, Reason.TERMINATING),
    ],
)
def test_an_endpoint_in_no_condition_to_serve_is_absent(
    plan: AddressPlan, fields: PodFields, reason: Reason
) -> None:
    """As long as another one is ready, and also if none is."""
    away = local(plan.other_local_pod, **fields)
    expected = {plan.endpoint(plan.other_local_pod): reason}

    assert _absent(plan, local(plan.local_pod), away) == expected
    if not (away.serving and away.terminating):
        assert _absent(plan, away) == expected


def test_a_terminating_endpoint_that_serves_is_not_absent(plan: AddressPlan) -> None:
    """It is the last that the Service has."""
    assert _absent(plan, local(plan.local_pod, ready=False, terminating=True)) == {}


@pytest.mark.parametrize(
    ("here", "elsewhere", "reason"),
    [
        ({"zone_hints": (ZONE,)}, {"zone_hints": (OTHER_ZONE,)}, Reason.OTHER_ZONE),
        ({"node_hints": (THIS_NODE,)}, {"node_hints": (OTHER_NODE,)}, Reason.OTHER_NODE),
    ],
)
def test_hints_for_elsewhere_are_the_reason(
    plan: AddressPlan, here: PodFields, elsewhere: PodFields, reason: Reason
) -> None:
    """All endpoints have hints, and one is meant for this node or its zone."""
    meant = local(plan.local_pod, **here)
    not_meant = local(plan.other_local_pod, **elsewhere)

    assert _absent(plan, meant, not_meant) == {plan.endpoint(plan.other_local_pod): reason}


def test_policy_local_leaves_out_other_nodes(plan: AddressPlan) -> None:
    """Endpoints of other nodes are absent, whether this node has endpoints or not."""
    away = remote(plan.remote_pod)
    expected = (Absence("default/web", plan.endpoint(plan.remote_pod), Reason.OTHER_NODE),)
    for endpoints in ((local(plan.local_pod), away), (away,)):
        service = state(plan, *endpoints, internal_traffic_policy=TrafficPolicy.LOCAL)

        assert trace_services(plan, context(plan), service).absences == expected


def test_a_pod_behind_a_local_policy_reaches_all(plan: AddressPlan) -> None:
    """It takes the short way to the cluster-wide endpoints, so that none is absent."""
    service = state(
        plan,
        local(plan.local_pod),
        remote(plan.remote_pod),
        type=ServiceType.LOAD_BALANCER,
        ingress_ips=(plan.ingress_ip,),
        external_traffic_policy=TrafficPolicy.LOCAL,
    )
    trace = trace_services(
        plan,
        context(plan),
        service,
        source=plan.other_local_pod,
        destination=plan.ingress_ip,
    )

    assert len(trace.paths) == 2
    assert trace.absences == ()


def test_an_endpoint_that_rules_do_not_know_is_told() -> None:
    """Rules of before the last change lack what should be there by now."""
    before, now = (
        state(IPV4, *map(local, pods))
        for pods in ((IPV4.local_pod,), (IPV4.local_pod, IPV4.other_local_pod))
    )
    rules = desired_rule_set(build({WEB: before}, context(IPV4)))
    paths = Tracer(rules, ()).paths(packet(destination=IPV4.cluster_ip))

    assert absences(paths, {WEB: now}, context(IPV4)) == (
        Absence("default/web", f"{IPV4.other_local_pod}:80", Reason.NOT_IN_RULES),
    )


def test_other_services_do_not_matter(plan: AddressPlan) -> None:
    """Only endpoints of the service port that the packet comes by are told."""
    other = state(
        plan,
        local(plan.other_local_pod, ready=False),
        key=WEB._replace(name="other"),
        cluster_ips=(plan.other_cluster_ip,),
    )
    trace = trace_services(plan, context(plan), state(plan, local(plan.local_pod)), other)

    assert trace.absences == ()
