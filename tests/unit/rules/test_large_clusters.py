# SPDX-License-Identifier: Apache-2.0
"""The rules of large clusters: who needs a chain of his own, and what is left out."""

from __future__ import annotations

import pytest

from rules import names
from rules.cluster_size import LargeClusterMode, is_large_cluster
from rules.model import ServiceState, TrafficPolicy
from tests.address_plan import IPV4, AddressPlan
from tests.builders import (
    NODE_PORT,
    ServiceFields,
    context,
    local,
    remote,
    service_port,
    state,
)
from tests.printed import ONE_HALF, SVC, SVL, Printed, printed, sep


def _large(plan: AddressPlan, made: ServiceState) -> Printed:
    return printed(plan, made, in_context=context(plan, is_large=True))


def test_a_pod_elsewhere_is_translated_where_it_is_chosen(plan: AddressPlan) -> None:
    """Only a pod of this node has a chain, which masquerades what it sends to itself."""
    rules = _large(plan, state(plan, local(plan.local_pod), remote(plan.remote_pod)))

    chain = sep(plan, plan.local_pod)
    assert rules.service_chains() == {SVC, chain}
    masquerade = (
        f"! -s {plan.cluster_cidr} -d {plan.host(plan.cluster_ip)} -p tcp "
        "-m tcp --dport 80 -j KUBE-MARK-MASQ"
    )
    assert rules.nat(SVC) == [
        masquerade,
        f"{ONE_HALF} -j {chain}",
        f"-p tcp -j DNAT --to-destination {plan.endpoint(plan.remote_pod)}",
    ]
    assert rules.nat(chain) == [
        f"-s {plan.host(plan.local_pod)} -j KUBE-MARK-MASQ",
        f"-p tcp -j DNAT --to-destination {plan.endpoint(plan.local_pod)}",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"affinity_seconds": 60}, id="affinity-remembers-clients"),
        pytest.param(
            {
                "ports": (service_port(node_port=NODE_PORT),),
                "external_traffic_policy": TrafficPolicy.LOCAL,
            },
            id="a-pod-may-reach-itself-by-this-nodes-port",
        ),
    ],
)
def test_who_needs_a_chain_keeps_it(fields: ServiceFields) -> None:
    """Where the chain of a pod elsewhere has something to do, it stays."""
    rules = _large(IPV4, state(IPV4, remote(IPV4.remote_pod), **fields))

    assert sep(IPV4, IPV4.remote_pod) in rules.service_chains()


def test_an_endpoint_without_a_node_keeps_its_chain() -> None:
    """It may be on this node: nobody said."""
    rules = _large(IPV4, state(IPV4, remote(IPV4.remote_pod)._replace(node_name="")))

    assert sep(IPV4, IPV4.remote_pod) in rules.service_chains()


def test_local_policy_chain_leads_to_endpoint_chains() -> None:
    """Policy Local chooses among pods of this node only, and all of these have chains."""
    made = state(
        IPV4,
        local(IPV4.local_pod),
        remote(IPV4.remote_pod),
        internal_traffic_policy=TrafficPolicy.LOCAL,
    )

    assert _large(IPV4, made).nat(SVL)[-1] == f"-j {sep(IPV4, IPV4.local_pod)}"


@pytest.mark.parametrize(("seconds", "has_groups"), [(None, True), (60, False)])
def test_very_many_endpoints_are_chosen_by_groups(seconds: int | None, *, has_groups: bool) -> None:
    """But not with affinity, which has to ask all of them for the client first."""
    pods = [remote(f"10.244.2.{number}") for number in range(1, 200)]
    rules = _large(IPV4, state(IPV4, *pods, affinity_seconds=seconds))

    groups = [one for one in rules.service_chains() if names.is_group_chain(one)]
    assert bool(groups) is has_groups
    standing = [line for chain in (SVC, *groups) for line in rules.nat(chain)]
    assert sum("DNAT" in line or "KUBE-SEP" in line for line in standing) >= len(pods)


@pytest.mark.parametrize(
    ("endpoints", "was_large", "is_large"),
    [(1000, False, False), (1001, False, True), (801, True, True), (800, True, False)],
)
def test_size_is_judged_by_endpoints(endpoints: int, *, was_large: bool, is_large: bool) -> None:
    """From 1,001 endpoints on a cluster is large, and stays so until it has 800."""
    pods = [remote(f"10.{number >> 8}.{number & 255}.1") for number in range(endpoints)]
    services = [state(IPV4, *pods[:500]), state(IPV4, *pods[500:])]

    assert is_large_cluster(LargeClusterMode.AUTO, services, was_large=was_large) is is_large


@pytest.mark.parametrize(
    ("mode", "is_large"), [(LargeClusterMode.ALWAYS, True), (LargeClusterMode.NEVER, False)]
)
def test_size_can_be_decided_beforehand(mode: LargeClusterMode, *, is_large: bool) -> None:
    """The operator's word counts more than any number."""
    assert is_large_cluster(mode, [], was_large=not is_large) is is_large
