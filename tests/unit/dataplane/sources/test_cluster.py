# SPDX-License-Identifier: Apache-2.0
"""The cluster source against a real HTTP server: what is delivered, and what trouble changes.

What single objects decode to is covered in test_decode; here only that it arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import enumerate as enumerate_threads
from time import monotonic

import pytest

from dataplane.sources.api import ApiServer
from dataplane.sources.cluster import ClusterSource
from dataplane.sources.follower import Timing
from rules.model import Node, ObjectKey
from tests.apiserver import FakeApiServer
from tests.apiserver.objects import endpoint_slice, node, service
from tests.unit.dataplane.sources.support import Witness

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
NODES = "/api/v1/nodes"
PATHS = (SERVICES, SLICES, NODES)
QUICK = Timing(idle=2.0, shortest_backoff=0.02, longest_backoff=0.2)


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    """An API server with a Service, its slice and the Node."""
    with FakeApiServer() as server:
        server.put(service())
        server.put(endpoint_slice())
        server.put(node())
        yield server


@pytest.fixture
def witness() -> Witness:
    """What is delivered and reported."""
    return Witness()


@pytest.fixture
def source(server: FakeApiServer, witness: Witness, tmp_path: Path) -> Iterator[ClusterSource]:
    """A running source that has delivered its first full state."""
    source = _source(server, witness, tmp_path, QUICK)
    source.start()
    witness.wait_for(witness.state.picture)
    yield source
    source.stop()


def _source(server: FakeApiServer, witness: Witness, folder: Path, timing: Timing) -> ClusterSource:
    api = ApiServer(server.kubeconfig(folder))
    return ClusterSource(api, "node-a", witness.state, witness, timing)


def _wait_for_watches(server: FakeApiServer, count: int = 1) -> None:
    server.wait_for(lambda: all(len(server.watched_from(path)) >= count for path in PATHS))


@pytest.mark.usefixtures("source")
def test_first_state_is_complete(witness: Witness) -> None:
    """The first picture has the Service with its endpoints, and the Node."""
    picture = witness.state.picture()
    assert picture is not None
    assert witness.addresses() == ["10.244.1.2"]
    assert picture.node == Node(
        "node-a", ("192.0.2.11", "2001:db8::11"), ("10.244.1.0/24", "fd00:1::/64"), "zone-1"
    )


@pytest.mark.usefixtures("source")
def test_events_are_followed_without_another_list(server: FakeApiServer, witness: Witness) -> None:
    """Added, changed and deleted objects arrive by the watch alone."""
    server.put(service("api", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"]))
    server.put(endpoint_slice(address="10.244.1.9"))
    witness.wait_for(lambda: witness.service(ObjectKey("default", "api")))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.9"])
    server.delete("Service", "default", "api")
    server.delete("EndpointSlice", "default", "web-1")
    witness.wait_for(lambda: witness.service(ObjectKey("default", "api")) is None)
    witness.wait_for(lambda: witness.addresses() == [])
    assert [server.lists(path) for path in PATHS] == [1, 1, 1]


@pytest.mark.usefixtures("source")
def test_node_changes_arrive(server: FakeApiServer, witness: Witness) -> None:
    """A change of this node is followed; other nodes are not asked for."""
    changed = node()
    changed["metadata"]["labels"]["topology.kubernetes.io/zone"] = "zone-2"
    server.put(node("node-b"))
    server.put(changed)
    witness.wait_for(lambda: (picture := witness.state.picture()) and picture.node.zone == "zone-2")
    assert ("Node", 1) in witness.lists


@pytest.mark.usefixtures("source")
def test_foreign_objects_stay_on_the_server(server: FakeApiServer, witness: Witness) -> None:
    """A Service that gets another proxy's label disappears here, as if it were deleted."""
    foreign = service()
    foreign["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    server.put(foreign)
    witness.wait_for(lambda: witness.service() is None)


@pytest.mark.usefixtures("source")
def test_slice_of_no_service_is_dropped(server: FakeApiServer, witness: Witness) -> None:
    """A slice that loses its Service's name no longer counts."""
    orphan = endpoint_slice()
    orphan["metadata"]["labels"] = {}
    server.put(orphan)
    witness.wait_for(lambda: witness.addresses() == [])


def test_long_lists_come_in_pages(server: FakeApiServer, witness: Witness, tmp_path: Path) -> None:
    """A list longer than a page is complete."""
    for number in range(4500):
        server.put(service(f"s{number}"))
    source = _source(server, witness, tmp_path, QUICK)
    source.start()
    witness.wait_for(witness.state.picture)
    source.stop()
    assert ("Service", 4501) in witness.lists
    limits = [one.query.get("limit") for one in server.requests if one.path == SERVICES]
    assert limits[:3] == ["2000", "2000", "2000"]


def test_expired_pages_are_read_again_in_one(
    server: FakeApiServer, witness: Witness, tmp_path: Path
) -> None:
    """When the next page is gone, the list is begun again, and not in pages."""
    server.faults.pages_expire = True
    for number in range(2100):
        server.put(service(f"s{number}"))
    source = _source(server, witness, tmp_path, QUICK)
    source.start()
    witness.wait_for(witness.state.picture)
    source.stop()
    assert [entry for entry in witness.lists if entry[0] == "Service"] == [("Service", 2101)]
    assert server.lists(SERVICES) == 2


@pytest.mark.usefixtures("source")
def test_closed_watch_is_resumed(server: FakeApiServer, witness: Witness) -> None:
    """After the server has ended the watches, changes arrive without another list."""
    _wait_for_watches(server)
    server.put(endpoint_slice(address="10.244.1.3"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.3"])
    server.faults.close_watches()
    server.put(endpoint_slice(address="10.244.1.4"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.4"])
    assert server.lists(SLICES) == 1
    assert len(server.watched_from(SLICES)) >= 2


def test_bookmarks_carry_the_version_on(
    server: FakeApiServer, witness: Witness, tmp_path: Path
) -> None:
    """A kind without changes is resumed from the version of its last bookmark."""
    server.bookmark_seconds = 0.05
    source = _source(server, witness, tmp_path, QUICK)
    source.start()
    witness.wait_for(witness.state.picture)
    server.put(endpoint_slice(address="10.244.1.3"))
    version = server.store.version
    server.wait_for(lambda: (SERVICES, version) in server.bookmarks)
    server.faults.close_watches()
    server.wait_for(lambda: server.watched_from(SERVICES)[1:2] == [version])
    source.stop()
    assert server.lists(SERVICES) == 1


@pytest.mark.usefixtures("source")
def test_gone_version_leads_to_a_new_list(server: FakeApiServer, witness: Witness) -> None:
    """After 410 Gone a new list brings what was missed, deletions too."""
    server.go_away()
    server.delete("EndpointSlice", "default", "web-1")
    server.put(endpoint_slice("web-2", address="10.244.1.5"))
    server.store.forget()
    server.come_back()
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.5"])
    assert server.lists(SLICES) == 2


@pytest.mark.usefixtures("source")
def test_error_event_leads_to_a_new_list(server: FakeApiServer, witness: Witness) -> None:
    """A 410 that comes inside of an open watch leads to a new list."""
    _wait_for_watches(server)
    server.store.forget()
    witness.wait_for(lambda: witness.lists.count(("Service", 1)) == 2)
    server.put(endpoint_slice(address="10.244.1.6"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.6"])


@pytest.mark.parametrize("line", [b"{", b"\xff\xfe", b"[]", b'{"type": "ADDED"}', b"null"])
@pytest.mark.usefixtures("source")
def test_garbage_in_a_watch_leads_to_a_new_list(
    line: bytes, server: FakeApiServer, witness: Witness
) -> None:
    """A line that is no event makes the watch untrustworthy; nothing is lost by it."""
    _wait_for_watches(server)
    server.faults.inject(line)
    witness.wait_for(lambda: witness.lists.count(("EndpointSlice", 1)) == 2)
    server.put(endpoint_slice(address="10.244.1.7"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.7"])


@pytest.mark.usefixtures("source")
def test_silent_watch_is_given_up(server: FakeApiServer, witness: Witness) -> None:
    """A connection on which nothing comes any more is replaced, and changes arrive again."""
    _wait_for_watches(server)
    server.faults.stall()
    server.put(endpoint_slice(address="10.244.1.8"))
    _wait_for_watches(server, 2)
    server.faults.stall(silent=False)
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.8"])


@pytest.mark.usefixtures("source")
def test_server_that_is_away_changes_nothing(server: FakeApiServer, witness: Witness) -> None:
    """While the server is away the state stays; once it is back, changes arrive."""
    before = witness.state.picture()
    server.go_away()
    witness.wait_for(lambda: len(witness.interruptions) >= 6)
    assert witness.state.picture() == before
    server.put(endpoint_slice(address="10.244.1.9"))
    server.come_back()
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.9"])
    witness.wait_for(lambda: witness.resumptions == ["EndpointSlice"])
    assert server.lists(SLICES) == 1


def test_default_backoff_follows_within_five_seconds(
    server: FakeApiServer, witness: Witness, tmp_path: Path
) -> None:
    """With the agent's own timing, changes are known five seconds after a long outage's end."""
    source = _source(server, witness, tmp_path, Timing())
    source.start()
    witness.wait_for(witness.state.picture)
    server.go_away()
    witness.wait_for(lambda: [what for what, _ in witness.interruptions].count("Service") >= 5)
    server.put(service(ports=[{"port": 81}]))
    server.come_back()
    start = monotonic()
    witness.wait_for(lambda: (one := witness.service()) and one.service.ports[0].port == 81)
    assert monotonic() - start < 5
    source.stop()


@pytest.mark.usefixtures("source")
def test_server_errors_are_retried(server: FakeApiServer, witness: Witness) -> None:
    """Answers with code 500 only delay what is followed, and are reported."""
    server.faults.fail(500, times=6)
    server.faults.close_watches()
    server.put(endpoint_slice(address="10.244.1.3"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.3"])
    assert any("HTTP 500 this is a fault on purpose" in text for _, text in witness.interruptions)


@pytest.mark.usefixtures("source")
def test_bad_object_keeps_its_last_good_state(server: FakeApiServer, witness: Witness) -> None:
    """An object that turns bad is reported and stays as it was, through a new list as well."""
    server.put(service(clusterIPs=["10.96.0.999"]))
    witness.wait_for(lambda: witness.skips)
    server.store.forget()
    witness.wait_for(lambda: ("Service", 0) in witness.lists)
    state = witness.service()
    assert state is not None
    assert state.service.cluster_ips == ("10.96.0.10",)
    assert str(witness.skips[0]) == (
        "/api/v1/services: Service default/web: spec.clusterIPs[0]:"
        " '10.96.0.999' is not an IP address"
    )


@pytest.mark.usefixtures("source")
def test_bad_object_can_be_deleted(server: FakeApiServer, witness: Witness) -> None:
    """The deletion of an object that turned bad is followed."""
    server.put(service(clusterIPs=["10.96.0.999"]))
    server.delete("Service", "default", "web")
    witness.wait_for(lambda: witness.service() is None)


@pytest.mark.usefixtures("source")
def test_new_credentials_are_read(server: FakeApiServer, witness: Witness, tmp_path: Path) -> None:
    """When the server refuses the token, the kubeconfig is read again."""
    server.renew_token()
    server.kubeconfig(tmp_path)
    server.faults.close_watches()
    server.put(endpoint_slice(address="10.244.1.3"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.3"])
    assert any("HTTP 401" in text for _, text in witness.interruptions)


def test_unregistered_node_is_waited_for(
    server: FakeApiServer, witness: Witness, tmp_path: Path
) -> None:
    """Without its Node there is no state and a message says so; once registered it is taken."""
    server.delete("Node", "", "node-a")
    source = _source(server, witness, tmp_path, QUICK)
    source.start()
    witness.wait_for(lambda: any("not registered" in text for _, text in witness.interruptions))
    assert witness.state.picture() is None
    server.put(node())
    witness.wait_for(witness.state.picture)
    witness.wait_for(lambda: "Node" in witness.resumptions)
    source.stop()


@pytest.mark.usefixtures("source")
def test_deleted_node_stays(server: FakeApiServer, witness: Witness) -> None:
    """A Node that is deleted keeps its last state: this machine is still there."""
    server.delete("Node", "", "node-a")
    witness.wait_for(lambda: any("was deleted" in text for _, text in witness.interruptions))
    picture = witness.state.picture()
    assert picture is not None
    assert picture.node.zone == "zone-1"


def test_stop_ends_promptly(server: FakeApiServer, witness: Witness, tmp_path: Path) -> None:
    """Stopping breaks open watches off: no thread of the source is left a second later."""
    source = _source(server, witness, tmp_path, replace(QUICK, idle=60.0))
    source.start()
    witness.wait_for(witness.state.picture)
    _wait_for_watches(server)
    start = monotonic()
    source.stop()
    assert monotonic() - start < 1
    assert not [thread for thread in enumerate_threads() if thread.name.startswith("watch-")]


def test_stop_while_the_server_is_away(
    server: FakeApiServer, witness: Witness, tmp_path: Path
) -> None:
    """Stopping does not wait for the next attempt."""
    slow = Timing(shortest_backoff=60.0, longest_backoff=60.0)
    server.faults.fail(500, times=3)
    source = _source(server, witness, tmp_path, slow)
    source.start()
    witness.wait_for(lambda: len(witness.interruptions) == 3)
    start = monotonic()
    source.stop()
    assert monotonic() - start < 1
