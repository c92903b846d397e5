# SPDX-License-Identifier: Apache-2.0
"""KUBE-SVC, KUBE-SVL and KUBE-SEP: masquerading, affinity, the choice, the translation."""

from __future__ import annotations

import math
import re

import pytest

from rules import names
from rules.affinity import AffinityBackend
from rules.context import DetectLocalMode, FamilyContext
from rules.ir import ClientSet, Statistic, TableName
from rules.model import ObjectKey, ServiceState, SlicePort, TrafficPolicy
from rules.text import HOST_MASK
from tests.address_plan import IPV4, AddressPlan
from tests.builders import (
    NODE_PORT,
    OptionFields,
    context,
    endpoint_slice,
    local,
    remote,
    service,
    service_port,
    state,
)
from tests.printed import ONE_HALF, SVC, SVL, comment, printed, sep

_LOCAL = TrafficPolicy.LOCAL
_CLUSTER_IP = comment("default/web cluster IP")
_WEB = comment("default/web")


def _choice(plan: AddressPlan, address: str, odds: str = "") -> str:
    words = comment(f"default/web -> {plan.endpoint(address)}")
    return f"{words} {odds and odds + ' '}-j {sep(plan, address)}"


def _masquerade(plan: AddressPlan, source: str) -> str:
    """The rule that marks cluster-IP traffic; an interface stands after the destination."""
    destination = f"-d {plan.host(plan.cluster_ip)}"
    places = [source, destination] if "-s" in source else [destination, source]
    head = " ".join(place for place in places if place)
    return f"{head} -p tcp {_CLUSTER_IP} -m tcp --dport 80 -j KUBE-MARK-MASQ"


def test_cluster_ip_traffic_from_elsewhere_is_masqueraded_then_shared_out(
    plan: AddressPlan,
) -> None:
    """The chain of the document: what is not from the cluster is marked, then one of two."""
    rules = printed(plan, state(plan, local(plan.local_pod), remote(plan.remote_pod)))
    assert rules.nat(SVC) == [
        _masquerade(plan, f"! -s {plan.cluster_cidr}"),
        _choice(plan, plan.local_pod, ONE_HALF),
        _choice(plan, plan.remote_pod),
    ]


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({"detect_local_mode": DetectLocalMode.NODE_CIDR}, "! -s {plan.node_cidr}"),
        (
            {"detect_local_mode": DetectLocalMode.BRIDGE_INTERFACE, "bridge_interface": "cni0"},
            "! -i cni0",
        ),
        (
            {
                "detect_local_mode": DetectLocalMode.INTERFACE_NAME_PREFIX,
                "interface_name_prefix": "veth",
            },
            "! -i veth+",
        ),
        ({"masquerade_all": True}, ""),
        ({"masquerade_all": True, "cluster_cidrs": ()}, ""),
    ],
)
def test_what_is_masqueraded_follows_the_options(
    plan: AddressPlan, options: OptionFields, source: str
) -> None:
    """Sources that the detector calls foreign, or all with masqueradeAll."""
    rules = printed(plan, state(plan, local(plan.local_pod)), in_context=context(plan, **options))
    assert rules.nat(SVC)[0] == _masquerade(plan, source.format(plan=plan))


def test_without_detector_and_masquerade_all_nothing_is_masqueraded(plan: AddressPlan) -> None:
    """The chain begins with the choice."""
    rules = printed(
        plan, state(plan, local(plan.local_pod)), in_context=context(plan, cluster_cidrs=())
    )
    assert rules.nat(SVC) == [_choice(plan, plan.local_pod)]


def test_only_the_chain_of_internal_traffic_masquerades(plan: AddressPlan) -> None:
    """With both policies Local the SVL chain is the internal one, the SVC chain is not."""
    made = state(
        plan,
        local(plan.local_pod),
        remote(plan.remote_pod),
        ports=(service_port(node_port=NODE_PORT),),
        internal_traffic_policy=_LOCAL,
        external_traffic_policy=_LOCAL,
    )
    rules = printed(plan, made)
    assert rules.nat(SVL) == [
        _masquerade(plan, f"! -s {plan.cluster_cidr}"),
        _choice(plan, plan.local_pod),
    ]
    assert rules.nat(SVC) == [
        _choice(plan, plan.local_pod, ONE_HALF),
        _choice(plan, plan.remote_pod),
    ]


def test_the_local_chain_of_external_traffic_does_not_masquerade(plan: AddressPlan) -> None:
    """Clients from outside keep their address on the way to local endpoints."""
    made = state(
        plan,
        local(plan.local_pod),
        remote(plan.remote_pod),
        ports=(service_port(node_port=NODE_PORT),),
        external_traffic_policy=_LOCAL,
    )
    assert printed(plan, made).nat(SVL) == [_choice(plan, plan.local_pod)]


def test_endpoint_chains_exist_for_cluster_and_local_endpoints_together(plan: AddressPlan) -> None:
    """A terminating local endpoint has a chain for local traffic beside the ready remote one."""
    made = state(
        plan,
        local(plan.local_pod, ready=False, serving=True, terminating=True),
        remote(plan.remote_pod),
        ports=(service_port(node_port=NODE_PORT),),
        external_traffic_policy=_LOCAL,
    )
    rules = printed(plan, made)
    assert rules.nat(SVC)[1:] == [_choice(plan, plan.remote_pod)]
    assert rules.nat(SVL) == [_choice(plan, plan.local_pod)]
    endpoints = {chain for chain in rules.service_chains() if chain.startswith("KUBE-SEP-")}
    assert endpoints == {sep(plan, plan.local_pod), sep(plan, plan.remote_pod)}


def test_an_endpoint_chain_marks_the_hairpin_then_translates(plan: AddressPlan) -> None:
    """The endpoint's traffic to itself needs another source, or its reply would never come."""
    rules = printed(plan, state(plan, local(plan.local_pod)))
    assert rules.nat(sep(plan, plan.local_pod)) == [
        f"-s {plan.host(plan.local_pod)} {_WEB} -j KUBE-MARK-MASQ",
        f"-p tcp {_WEB} -m tcp -j DNAT --to-destination {plan.endpoint(plan.local_pod)}",
    ]


@pytest.mark.parametrize("protocol", ["udp", "sctp"])
def test_other_protocols_differ_in_their_names_only(plan: AddressPlan, protocol: str) -> None:
    """The protocol is part of the hashes, the match and the translation."""
    made = state(plan, local(plan.local_pod), ports=(service_port(53, protocol=protocol),))
    chain = names.endpoint_chain("default/web", protocol, plan.endpoint(plan.local_pod))
    assert printed(plan, made).nat(chain)[1] == (
        f"-p {protocol} {_WEB} -m {protocol} -j DNAT --to-destination "
        f"{plan.endpoint(plan.local_pod)}"
    )


def test_affinity_asks_for_the_client_s_last_endpoint_before_it_chooses(plan: AddressPlan) -> None:
    """One lookup for each endpoint in order, then the choice as without affinity."""
    made = state(plan, local(plan.local_pod), remote(plan.remote_pod), affinity_seconds=10800)
    mask = HOST_MASK[plan.family]
    rules = printed(plan, made)
    assert rules.nat(SVC)[1:] == [
        *(
            f"{comment(f'default/web -> {plan.endpoint(address)}')} -m recent --rcheck "
            f"--seconds 10800 --reap --name {sep(plan, address)} --mask {mask} --rsource "
            f"-j {sep(plan, address)}"
            for address in (plan.local_pod, plan.remote_pod)
        ),
        _choice(plan, plan.local_pod, ONE_HALF),
        _choice(plan, plan.remote_pod),
    ]


def test_affinity_remembers_the_client_where_it_is_translated(plan: AddressPlan) -> None:
    """The list has the endpoint chain's name; the hairpin rule remembers nobody."""
    chain = sep(plan, plan.local_pod)
    made = state(plan, local(plan.local_pod), affinity_seconds=10800)
    remember = f"-m recent --set --name {chain} --mask {HOST_MASK[plan.family]} --rsource"
    translate = f"-j DNAT --to-destination {plan.endpoint(plan.local_pod)}"
    assert printed(plan, made).nat(chain) == [
        f"-s {plan.host(plan.local_pod)} {_WEB} -j KUBE-MARK-MASQ",
        f"-p tcp {_WEB} {remember} -m tcp {translate}",
    ]


def test_affinity_holds_in_the_local_chain_too(plan: AddressPlan) -> None:
    """Both policy chains look clients up."""
    made = state(plan, local(plan.local_pod), internal_traffic_policy=_LOCAL, affinity_seconds=60)
    assert "--rcheck --seconds 60 --reap" in printed(plan, made).nat(SVL)[1]


def _in_sets(plan: AddressPlan, *, is_large: bool = False) -> FamilyContext:
    return context(plan, is_large=is_large, affinity_backend=AffinityBackend.IPSET)


def test_clients_are_looked_for_in_sets(plan: AddressPlan) -> None:
    """One set for each endpoint stands where its list would; the choice is the same."""
    made = state(plan, local(plan.local_pod), remote(plan.remote_pod), affinity_seconds=10800)
    rules = printed(plan, made, in_context=_in_sets(plan))
    assert rules.nat(SVC)[1:] == [
        *(
            f"{comment(f'default/web -> {plan.endpoint(address)}')} -m set --match-set "
            f"{names.client_set(sep(plan, address))} src -j {sep(plan, address)}"
            for address in (plan.local_pod, plan.remote_pod)
        ),
        _choice(plan, plan.local_pod, ONE_HALF),
        _choice(plan, plan.remote_pod),
    ]


@pytest.mark.parametrize("is_large", [False, True])
def test_clients_are_put_into_sets_before_they_are_translated(
    plan: AddressPlan, *, is_large: bool
) -> None:
    """Each connection begins the time-out anew; large clusters only leave the comment out."""
    made = state(plan, local(plan.local_pod), affinity_seconds=60)
    rules = printed(plan, made, in_context=_in_sets(plan, is_large=is_large))
    chain = sep(plan, plan.local_pod)
    (_, remember, translate) = rules.nat(chain)
    target = f"-j SET --add-set {names.client_set(chain)} src --exist --timeout 60"
    assert remember == (target if is_large else f"{_WEB} {target}")
    assert translate.endswith(f"-j DNAT --to-destination {plan.endpoint(plan.local_pod)}")


def test_sets_are_those_of_sticky_endpoints(plan: AddressPlan) -> None:
    """Each set that rules name is to be made, with the time-out of its Service."""
    sticky = state(plan, local(plan.local_pod), remote(plan.remote_pod), affinity_seconds=60)
    other = state(plan, remote(plan.remote_pod), key=ObjectKey("default", "other"))
    rules = printed(plan, sticky, other, in_context=_in_sets(plan))
    assert set(rules.tables[TableName.NAT].client_sets) == {
        ClientSet(names.client_set(sep(plan, address)), 60)
        for address in (plan.local_pod, plan.remote_pod)
    }


def test_lists_need_no_sets(plan: AddressPlan) -> None:
    """With -m recent the kernel makes what it needs."""
    made = state(plan, local(plan.local_pod), affinity_seconds=60)
    assert printed(plan, made).tables[TableName.NAT].client_sets == ()


def _with_endpoints(count: int) -> ServiceState:
    pods = (remote(f"10.244.{number // 250}.{number % 250 + 1}") for number in range(count))
    return ServiceState(service(IPV4), (endpoint_slice(IPV4, *pods),))


@pytest.mark.parametrize(
    ("count", "odds"),
    [
        (2, ["0.50000000000"]),
        (3, ["0.33333333349", "0.50000000000"]),
        (4, ["0.25000000000", "0.33333333349", "0.50000000000"]),
        (7, ["0.14285714272", "0.16666666651", "0.20000000019"]),
        # Without the ten decimals the kernel would hold 0.02272727294.
        (44, ["0.02272727247"]),
    ],
)
def test_odds_read_as_the_kernel_gives_them_back(count: int, odds: list[str]) -> None:
    """1/n is rounded to ten decimals, then to the kernel's 31-bit fraction."""
    text = "\n".join(printed(IPV4, _with_endpoints(count)).nat(SVC))
    assert re.findall(r"--probability (\S+)", text)[: len(odds)] == odds


@pytest.mark.parametrize("count", [1, 2, 3, 10, 257])
def test_every_endpoint_has_the_same_chance(count: int) -> None:
    """The chances along the chain add up to one and differ by rounding only."""
    tables = printed(IPV4, _with_endpoints(count), in_context=context(IPV4, cluster_cidrs=()))
    remaining, chances = 1.0, []
    for rule in tables.tables[TableName.NAT].chains[SVC]:
        odds = [match.fraction / 2**31 for match in rule.matches if isinstance(match, Statistic)]
        chance = remaining * (odds[0] if odds else 1)
        chances.append(chance)
        remaining -= chance
    assert len(chances) == count
    assert math.isclose(remaining, 0, abs_tol=1e-15)
    assert all(math.isclose(chance, 1 / count, rel_tol=1e-7) for chance in chances)


def test_ports_of_one_service_have_chains_of_their_own() -> None:
    """Two ports share neither policy chain nor endpoint chains."""
    ports = (service_port(80, name="http"), service_port(443, name="https"))
    made = service(IPV4, ports=ports)
    slices = endpoint_slice(
        IPV4, local(IPV4.local_pod), ports=(SlicePort("http", 8080), SlicePort("https", 8443))
    )
    rules = printed(IPV4, ServiceState(made, (slices,)))
    assert rules.service_chains() == {
        names.CLUSTER_POLICY_PREFIX + names.service_hash("default/web:http", "tcp"),
        names.CLUSTER_POLICY_PREFIX + names.service_hash("default/web:https", "tcp"),
        names.endpoint_chain("default/web:http", "tcp", "10.244.1.2:8080"),
        names.endpoint_chain("default/web:https", "tcp", "10.244.1.2:8443"),
    }
