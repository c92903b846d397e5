# SPDX-License-Identifier: Apache-2.0
"""Incremental result = full result, always: random histories of events.

Events go through the agent's own ClusterState, whose pictures tell the builder what has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from dataplane.state import ClusterState
from rules.build import ServiceBuilder, build
from rules.compose import TableComposer
from rules.context import FamilyContext
from rules.model import EndpointSlice, Node, ObjectKey, Service, ServiceState
from rules.service import ServiceRules
from rules.text import save_tables
from tests.address_plan import THIS_NODE
from tests.property.strategies import Cluster, clusters, contexts, keys, services, slices


@dataclass(frozen=True, slots=True)
class _Deletion:
    kind: type[Service | EndpointSlice]
    key: ObjectKey


_Event = Service | EndpointSlice | _Deletion


def _events() -> SearchStrategy[_Event]:
    slice_keys = slices().map(lambda one: one.key)
    return st.one_of(
        services(),
        slices(),
        st.builds(_Deletion, st.just(Service), keys),
        st.builds(_Deletion, st.just(EndpointSlice), slice_keys),
    )


_HISTORIES = st.lists(st.lists(_events(), max_size=3), min_size=1, max_size=6)


@dataclass
class _Agent:
    """The agent's way from events to rules, without its kernel."""

    context: FamilyContext
    state: ClusterState = field(default_factory=lambda: ClusterState(lambda: None))

    def __post_init__(self) -> None:
        self.builder = ServiceBuilder(self.context)
        self.composer = TableComposer(self.context)
        self.state.put_node(Node(THIS_NODE))

    def load(self, cluster: Cluster) -> None:
        """Take ``cluster`` for all there is."""
        self.state.replace_slices(cluster.slices.values())
        self.state.replace_services(cluster.services.values())

    def learn(self, event: _Event) -> None:
        """Take one event."""
        match event:
            case Service():
                self.state.put_service(event)
            case EndpointSlice():
                self.state.put_slice(event)
            case _Deletion(kind, key) if kind is Service:
                self.state.delete_service(key)
            case _Deletion(_, key):
                self.state.delete_slice(key)

    def states(self) -> Mapping[ObjectKey, ServiceState]:
        """What is known now."""
        picture = self.state.picture()
        assert picture
        return picture.services

    def sync(self) -> Mapping[ObjectKey, ServiceRules]:
        """Build what has changed since the last time."""
        return self.builder.build(self.states())

    def text(self, built: Mapping[ObjectKey, ServiceRules]) -> str:
        """The tables that ``built`` composes to."""
        return save_tables(self.composer.compose(built), self.context.family)


@given(clusters(), _HISTORIES, contexts())
def test_an_incremental_build_equals_a_full_one(
    cluster: Cluster, history: list[list[_Event]], on_node: FamilyContext
) -> None:
    """After every batch of events the bytes are those of a build from scratch."""
    agent = _Agent(on_node)
    agent.load(cluster)
    for events in history:
        for event in events:
            agent.learn(event)
        full = build(agent.states(), on_node)
        assert agent.text(agent.sync()) == save_tables(full, on_node.family)


@given(clusters(), _HISTORIES, contexts())
def test_only_services_that_an_event_concerns_are_rebuilt(
    cluster: Cluster, history: list[list[_Event]], on_node: FamilyContext
) -> None:
    """All other Services keep the very rules objects that they had."""
    agent = _Agent(on_node)
    agent.load(cluster)
    before, states_before = agent.sync(), agent.states()
    for events in history:
        for event in events:
            agent.learn(event)
        after, states_after = agent.sync(), agent.states()
        for key in before.keys() & after.keys():
            if states_before[key] == states_after[key] and not _concerns(events, key):
                assert after[key] is before[key]
        before, states_before = after, states_after


def _concerns(events: list[_Event], key: ObjectKey) -> bool:
    """Whether any event names the Service; a deleted slice may have been anybody's."""
    return any(
        event.key == key or (isinstance(event, EndpointSlice) and event.service == key)
        for event in events
    )


@given(clusters(), _HISTORIES, contexts())
def test_going_back_restores_the_rules(
    cluster: Cluster, history: list[list[_Event]], on_node: FamilyContext
) -> None:
    """When everything is as it was, so are the rules, whatever came in between."""
    agent = _Agent(on_node)
    agent.load(cluster)
    before = agent.text(agent.sync())
    for events in history:
        for event in events:
            agent.learn(event)
        agent.sync()
    agent.load(cluster)
    assert agent.text(agent.sync()) == before


@given(clusters(), contexts())
def test_a_repeated_list_rebuilds_nothing(cluster: Cluster, on_node: FamilyContext) -> None:
    """After a new list with the same content every Service keeps its rules objects."""
    agent = _Agent(on_node)
    agent.load(cluster)
    before = agent.sync()
    agent.load(cluster)
    after = agent.sync()
    assert list(after) == list(before)
    assert all(after[key] is before[key] for key in before)
