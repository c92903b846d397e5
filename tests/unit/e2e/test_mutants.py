# SPDX-License-Identifier: Apache-2.0
"""That mutants are what they say, as far as that shows without a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from dataplane.sources.base import LoggingObserver
from dataplane.sources.manifests import load_manifests
from dataplane.state import ClusterState, Picture
from rules.build import build
from rules.chain_groups import GroupedChains
from rules.context import FamilyContext, ProxyOptions, family_context
from rules.flows import Flow, FlowTargetsBuilder, SocketAddress
from rules.health_checks import health_check_services
from rules.ir import BUILT_IN_CHAINS, Family, Tables, is_jump
from rules.model import ObjectKey, ServiceState
from tests.address_plan import IPV4, IPV6, THIS_NODE
from tests.builders import WEB, context, endpoint_slice, node, remote, service, service_port, state
from tests.e2e.loading import load_folder
from tests.e2e.mutants.catalogue import BY_NAME, MUTANTS
from tests.e2e.mutants.mutant import Mutant

_TESTS: Final = Path(__file__).parents[2]
_SCENARIOS: Final = frozenset(
    scenario.name for scenario in load_folder(_TESTS / "e2e" / "scenarios")
)
_MANY: Final = 40
"""Services: more than what is led to without a tree."""
_OPTIONS: Final = ProxyOptions(cluster_cidrs=(IPV4.cluster_cidr, IPV6.cluster_cidr))
_RESTRICTED: Final = replace(_OPTIONS, restrict_node_ports=True)
_FLOW: Final = Flow("udp", SocketAddress("10.96.0.1", 53), SocketAddress("10.244.9.9", 53))


def _pictures() -> Iterator[Picture]:
    """The clusters of the golden tests, and one with many Services."""
    for file in sorted((_TESTS / "golden" / "cases").glob("*/input.yaml")):
        known = ClusterState(on_change=lambda: None)
        load_manifests([file], THIS_NODE, LoggingObserver()).deliver(known)
        picture = known.picture()
        assert picture
        yield picture
    keys = [ObjectKey("default", f"web-{number}") for number in range(_MANY)]
    many = {
        key: state(
            IPV4,
            remote(IPV4.remote_pod),
            remote(IPV4.other_remote_pod),
            key=key,
            cluster_ips=(f"10.96.{number}.1",),
            ports=(service_port(node_port=30000 + 50 * number),),
        )
        for number, key in enumerate(keys)
    }
    yield Picture(many, node(IPV4))


def _contexts(picture: Picture) -> Iterator[FamilyContext]:
    """What a node can make of a cluster."""
    for family in Family:
        for is_large in (False, True):
            yield family_context(_OPTIONS, picture.node, family, is_large=is_large)
        yield family_context(_RESTRICTED, picture.node, family, picture.node.addresses)


def _built() -> Iterator[tuple[Tables, object]]:
    """The tables of all these, and what their health-check ports tell."""
    for picture in _pictures():
        for one in _contexts(picture):
            yield build(picture.services, one), health_check_services(picture.services, one)


def _spelled_out(tables: Tables) -> object:
    return [
        ({name: list(rules) for name, rules in table.chains.items()}, table.hooks)
        for table in tables.values()
    ]


def _followed() -> object:
    """What becomes of a Service whose pods and which itself go, in state, table and flows."""
    known = ClusterState(on_change=lambda: None)
    known.replace_services([service(IPV4)])
    known.replace_slices([endpoint_slice(IPV4)])
    known.put_node(node(IPV4))
    known.put_slice(endpoint_slice(IPV4, remote(IPV4.remote_pod)))
    with_pod = known.picture()
    known.delete_service(WEB)
    without_service = known.picture()
    chains = GroupedChains({}).difference(GroupedChains({WEB: {"KUBE-SVC-A": ()}}))
    targets = FlowTargetsBuilder(context(IPV4)).build(_dns())
    return with_pod, without_service, chains, targets.is_stale(_FLOW, ())


def _dns() -> Mapping[ObjectKey, ServiceState]:
    ports = tuple(port._replace(protocol="udp", port=53) for port in service(IPV4).ports)
    return {WEB: state(IPV4, cluster_ips=(_FLOW.destination.address,), ports=ports)}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the agent makes of all clusters."""

    tables: Sequence[Tables]
    all: object
    """With health checks, and what is followed."""


def _see() -> _Seen:
    built = list(_built())
    told = [(_spelled_out(tables), health) for tables, health in built]
    return _Seen([tables for tables, _ in built], (told, _followed()))


@pytest.fixture(scope="module")
def sound() -> _Seen:
    """What it makes of them without a fault."""
    return _see()


@pytest.fixture(params=MUTANTS, ids=lambda mutant: mutant.name, scope="module")
def faulty(request: pytest.FixtureRequest, sound: _Seen) -> _Seen:
    """What it makes of them with the fault of each mutant."""
    assert sound, "seen before there is any fault"
    mutant: Mutant = request.param
    with pytest.MonkeyPatch.context() as patch:
        mutant.fault(patch.setattr)
        return _see()


def test_names_are_unique() -> None:
    """Each mutant can be started by its name, and there are enough of them."""
    assert len(BY_NAME) == len(MUTANTS) >= 25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_scenarios_exist(mutant: Mutant) -> None:
    """Each mutant names scenarios that there are."""
    assert mutant.scenarios
    assert set(mutant.scenarios) <= _SCENARIOS


def test_a_fault_shows(faulty: _Seen, sound: _Seen) -> None:
    """With the fault of each mutant, the agent makes something else of some cluster."""
    assert faulty.all != sound.all


def test_the_kernel_would_take_it(faulty: _Seen) -> None:
    """No rule leads nowhere: the kernel would refuse it, and the sound rules would stay."""
    for table in (table for tables in faulty.tables for table in tables.values()):
        places = {*table.chains, *table.shared_chains, *BUILT_IN_CHAINS[table.name]}
        rules = [rule for chain in table.chains.values() for rule in chain]
        rules += [hook.rule for hook in table.hooks]
        assert {str(rule.target) for rule in rules if is_jump(rule.target)} <= places
