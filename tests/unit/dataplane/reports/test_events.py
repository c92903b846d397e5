# SPDX-License-Identifier: Apache-2.0
"""What events say, and what becomes of them without a cluster."""

from __future__ import annotations

import pytest

from dataplane.errors import DataplaneError, UnusableObjectError
from dataplane.reports.events import (
    LoggingRecorder,
    ServiceEvent,
    health_check_port_taken,
    source_ranges_of_other_family,
    unusable_field,
)
from dataplane.sources.decode import decode_node, decode_service
from rules.ir import Family
from rules.model import ObjectKey
from tests.apiserver import objects

WEB = ObjectKey("default", "web")


def test_a_port_that_is_taken() -> None:
    """The event has kube-proxy's reason, and says what happened and what follows."""
    error = DataplaneError("cannot listen: Address already in use; free the port")
    assert health_check_port_taken(WEB, error) == ServiceEvent(
        WEB,
        "FailedToStartServiceHealthcheck",
        "Listen",
        "cannot listen: Address already in use; free the port; until then load balancers take this"
        " node for one without endpoints",
    )


@pytest.mark.parametrize(
    ("is_closed", "outcome"), [(True, "are closed;"), (False, "are open to everybody;")]
)
def test_source_ranges_of_another_family(*, is_closed: bool, outcome: str) -> None:
    """The event names the family that no range is for, and what that means for it."""
    event = source_ranges_of_other_family(WEB, Family.IPV6, is_closed=is_closed)
    assert event.reason == "SourceRangesOfOtherFamilyOnly"
    assert f"is IPv6, so that the IPv6 load-balancer addresses {outcome}" in event.note


def _error(decode: object, raw: object) -> UnusableObjectError:
    assert callable(decode)
    with pytest.raises(UnusableObjectError) as caught:
        decode(raw, "/api/v1/services")
    return caught.value


def test_an_unusable_field() -> None:
    """A Service that cannot be decoded gives an event on it that names the field."""
    error = _error(decode_service, objects.service(ports=[{"port": 0}]))
    event = unusable_field(error)
    assert event is not None
    assert (event.service, event.reason) == (WEB, "UnusableField")
    assert event.note.startswith("spec.ports[0].port: ")
    assert event.note.endswith(
        "this change has no effect on the node, which keeps to what it knew before"
    )


def test_the_service_is_told_as_data() -> None:
    """However odd its names are, they are not looked for in a text."""
    error = UnusableObjectError(
        where="/x", kind="Service", key=ObjectKey("a/b", "c d"), field="spec", reason="wrong"
    )
    event = unusable_field(error)
    assert event is not None
    assert event.service == ObjectKey("a/b", "c d")


def test_no_event_for_other_objects() -> None:
    """A Node, or a Service whose name cannot be read, has nobody to be told."""
    node = objects.node()
    node["status"]["addresses"][1]["address"] = "nonsense"
    nameless = objects.service()
    nameless["metadata"]["name"] = 3
    for error in (_error(decode_node, node), _error(decode_service, nameless)):
        assert unusable_field(error) is None


def test_without_a_cluster_events_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the Service, the reason and the note."""
    LoggingRecorder().record(ServiceEvent(WEB, "Reason", "Act", "what happened"))
    assert caplog.messages == ["service default/web: Reason: what happened"]
