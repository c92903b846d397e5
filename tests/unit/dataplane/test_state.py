# SPDX-License-Identifier: Apache-2.0
"""The collected state: when it is complete, what a picture shows, and what it shares."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.state import ClusterState, ListMissingError
from rules.ir import Family
from rules.model import (
    EndpointSlice,
    Node,
    ObjectKey,
    Service,
    ServicePort,
    ServiceState,
    ServiceType,
    SliceEndpoint,
    SlicePort,
)

NODE = Node("node-a")


def _key(name: str) -> ObjectKey:
    return ObjectKey("default", name)


def _service(name: str, port: int = 80) -> Service:
    return Service(
        _key(name), ServiceType.CLUSTER_IP, (ServicePort("", "tcp", port, 0),), ("10.96.0.1",)
    )


def _slice(name: str, service: str, address: str = "10.244.1.2") -> EndpointSlice:
    return EndpointSlice(
        _key(name), _key(service), Family.IPV4, (SlicePort("", 80),), (SliceEndpoint(address),)
    )


def _ignore() -> None:
    """Take no notice of a change."""


class Counted:
    """A ClusterState, and how often it told of a change."""

    def __init__(self) -> None:
        self.changes = 0
        self.state = ClusterState(self._count)

    def _count(self) -> None:
        self.changes += 1

    def shown(self) -> dict[str, ServiceState]:
        """What the present picture has, by name."""
        picture = self.state.picture()
        assert picture is not None
        return {key.name: state for key, state in picture.services.items()}


@pytest.fixture
def counted() -> Counted:
    """A state with the Services web and api, and one slice of each."""
    counted = Counted()
    counted.state.replace_services([_service("web"), _service("api")])
    counted.state.replace_slices([_slice("web-1", "web"), _slice("api-1", "api")])
    counted.state.put_node(NODE)
    return counted


def test_no_picture_before_all_three_parts() -> None:
    """A picture needs the Services, the slices and the Node, even if there are none of these."""
    state = ClusterState(_ignore)
    state.put_node(NODE)
    state.replace_slices([])
    assert state.picture() is None
    state.replace_services([])
    picture = state.picture()
    assert picture is not None
    assert (dict(picture.services), picture.node) == ({}, NODE)


def test_single_objects_need_a_list_first() -> None:
    """An object before its list is a defect of the source; a deletion has nothing to do."""
    state = ClusterState(_ignore)
    with pytest.raises(ListMissingError):
        state.put_service(_service("web"))
    with pytest.raises(ListMissingError):
        state.put_slice(_slice("web-1", "web"))
    state.delete_service(_key("web"))
    state.delete_slice(_key("web-1"))
    assert state.picture() is None


def test_service_has_its_slices_by_name(counted: Counted) -> None:
    """The slices of a Service come sorted by name, whatever their order of arrival."""
    counted.state.put_slice(_slice("web-0", "web"))
    assert [one.key.name for one in counted.shown()["web"].slices] == ["web-0", "web-1"]


def test_unchanged_services_are_the_same_objects(counted: Counted) -> None:
    """Only the state of the Service that changed, or whose slice did, is a new object."""
    before = counted.shown()
    counted.state.put_slice(_slice("web-1", "web", "10.244.1.9"))
    after = counted.shown()
    assert after["api"] is before["api"]
    assert after["web"].slices[0].endpoints == (SliceEndpoint("10.244.1.9"),)


def test_all_services_are_the_same_object_until_one_changes(counted: Counted) -> None:
    """Who follows pictures sees without a look at each Service that none changed."""
    before = counted.state.picture()
    counted.state.put_node(Node("node-a", ("192.0.2.1",)))
    after = counted.state.picture()
    counted.state.put_slice(_slice("web-1", "web", "10.244.1.9"))
    changed = counted.state.picture()
    assert before is not None
    assert after is not None
    assert changed is not None
    assert after.services is before.services is not changed.services


def test_picture_never_changes(counted: Counted) -> None:
    """What was taken before a change still shows what was then."""
    picture = counted.state.picture()
    assert picture is not None
    counted.state.delete_service(_key("web"))
    counted.state.put_service(_service("new"))
    counted.shown()
    assert {key.name for key in picture.services} == {"web", "api"}
    assert set(counted.shown()) == {"api", "new"}


def test_same_again_is_no_change(counted: Counted) -> None:
    """What is known already is not told as a change, and gives the same objects."""
    before, changes = counted.shown(), counted.changes
    counted.state.put_service(_service("web"))
    counted.state.put_slice(_slice("web-1", "web"))
    counted.state.put_node(NODE)
    counted.state.replace_services([_service("api"), _service("web")])
    counted.state.replace_slices([_slice("api-1", "api"), _slice("web-1", "web")])
    counted.state.delete_service(_key("none"))
    counted.state.delete_slice(_key("none"))
    assert counted.changes == changes
    assert all(state is before[name] for name, state in counted.shown().items())


def test_changes_are_told(counted: Counted) -> None:
    """Each change that matters is told once."""
    changes = counted.changes
    counted.state.put_service(_service("web", 81))
    counted.state.put_slice(_slice("web-2", "web"))
    counted.state.delete_slice(_key("web-2"))
    counted.state.delete_service(_key("api"))
    counted.state.put_node(replace(NODE, zone="zone-1"))
    counted.state.replace_services([])
    counted.state.replace_slices([])
    assert counted.changes == changes + 7


def test_slice_can_move_to_another_service(counted: Counted) -> None:
    """A slice that names another Service than before counts for that one only."""
    counted.state.put_slice(_slice("web-1", "api"))
    shown = counted.shown()
    assert shown["web"].slices == ()
    assert [one.key.name for one in shown["api"].slices] == ["api-1", "web-1"]


def test_slice_may_come_before_its_service(counted: Counted) -> None:
    """A slice of an unknown Service waits for it."""
    counted.state.put_slice(_slice("new-1", "new"))
    assert "new" not in counted.shown()
    counted.state.put_service(_service("new"))
    assert [one.key.name for one in counted.shown()["new"].slices] == ["new-1"]


def test_lists_replace_what_was_known(counted: Counted) -> None:
    """What a new list lacks is forgotten."""
    counted.state.replace_services([_service("web")])
    counted.state.replace_slices([_slice("web-2", "web")])
    shown = counted.shown()
    assert set(shown) == {"web"}
    assert [one.key.name for one in shown["web"].slices] == ["web-2"]


def test_unusable_objects_of_a_list_stay(counted: Counted) -> None:
    """An object that exists but could not be decoded stays as it was, if it was known."""
    counted.state.replace_services([_service("web")], frozenset({_key("api"), _key("none")}))
    counted.state.replace_slices([], frozenset({_key("api-1"), _key("none")}))
    shown = counted.shown()
    assert set(shown) == {"web", "api"}
    assert [len(shown[name].slices) for name in ("web", "api")] == [0, 1]


class Outcome:
    """What a history of events leaves, without any cleverness."""

    def __init__(self) -> None:
        self.services: dict[ObjectKey, Service] = {}
        self.slices: dict[ObjectKey, EndpointSlice] = {}

    def put_service(self, service: Service) -> None:
        """See StateSink."""
        self.services[service.key] = service

    def delete_service(self, key: ObjectKey) -> None:
        """See StateSink."""
        self.services.pop(key, None)

    def replace_services(self, services: list[Service]) -> None:
        """See StateSink."""
        self.services = {service.key: service for service in services}

    def put_slice(self, endpoint_slice: EndpointSlice) -> None:
        """See StateSink."""
        self.slices[endpoint_slice.key] = endpoint_slice

    def delete_slice(self, key: ObjectKey) -> None:
        """See StateSink."""
        self.slices.pop(key, None)

    def replace_slices(self, slices: list[EndpointSlice]) -> None:
        """See StateSink."""
        self.slices = {endpoint_slice.key: endpoint_slice for endpoint_slice in slices}

    def picture(self) -> None:
        """Taking a picture leaves nothing."""


_NAMES = st.sampled_from(["a", "b", "c"])
_SERVICES = st.builds(_service, _NAMES, st.integers(80, 82))
_SLICES = st.builds(_slice, _NAMES, _NAMES, st.sampled_from(["10.244.1.2", "10.244.1.3"]))
_EVENTS = st.one_of(
    st.tuples(st.just("put_service"), _SERVICES),
    st.tuples(st.just("delete_service"), _NAMES.map(_key)),
    st.tuples(st.just("replace_services"), st.lists(_SERVICES, unique_by=lambda one: one.key)),
    st.tuples(st.just("put_slice"), _SLICES),
    st.tuples(st.just("delete_slice"), _NAMES.map(_key)),
    st.tuples(st.just("replace_slices"), st.lists(_SLICES, unique_by=lambda one: one.key)),
    st.tuples(st.just("picture")),
)


@given(events=st.lists(_EVENTS, max_size=30))
def test_history_does_not_matter(events: list[tuple[str, *tuple[object, ...]]]) -> None:
    """After any events, the picture is the one of a state that was told the outcome only."""
    state, fresh, outcome = ClusterState(_ignore), ClusterState(_ignore), Outcome()
    for one in (state, fresh):
        one.put_node(NODE)
        one.replace_services([])
        one.replace_slices([])
    for method, *arguments in events:
        getattr(state, method)(*arguments)
        getattr(outcome, method)(*arguments)
    fresh.replace_services(outcome.services.values())
    fresh.replace_slices(outcome.slices.values())
    assert state.picture() == fresh.picture()
