# SPDX-License-Identifier: Apache-2.0
"""Wrong input to ``dataplane run``: named in the log, and no obstacle to anything else."""

from __future__ import annotations

import pytest

from lab import wait_until
from tests.apiserver.objects import endpoint_slice, service
from tests.apiserver.store import JsonObject
from tests.command.site import Site

_GOOD = "10.244.1.2:8080"
_OTHER = "10.244.3.9:8080"


def _other_service() -> tuple[JsonObject, JsonObject]:
    return (
        service("other", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"]),
        endpoint_slice("other-1", "other", "10.244.3.9"),
    )


def test_a_file_that_is_no_yaml(site: Site) -> None:
    """Broken YAML is reported with file and line; the other files are programmed."""
    site.write("web.yaml", service(), endpoint_slice())
    site.write_text("broken.yaml", "kind: Service\nspec: [")

    agent = site.start()

    site.wait_for_destinations(_GOOD)
    (line,) = agent.log_lines_with("broken.yaml")
    assert "(line 3): not valid YAML" in line


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"clusterIP": "10.96.0.300", "clusterIPs": ["10.96.0.300"]}, "spec.clusterIPs[0]"),
        ({"ports": [{"port": 70000}]}, "spec.ports[0].port"),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/99"]},
            "spec.loadBalancerSourceRanges[0]",
        ),
        (
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
            },
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        ),
    ],
    ids=["address", "port", "range", "affinity time-out"],
)
def test_a_service_that_cannot_be_used(site: Site, wrong: JsonObject, field: str) -> None:
    """A wrong field is reported with file, object and field; the other objects are programmed."""
    site.write("all.yaml", service("wrong", **wrong), service(), endpoint_slice())

    agent = site.start()

    site.wait_for_destinations(_GOOD)
    (line,) = agent.log_lines_with("left out")
    assert f"{site.manifests}/all.yaml (document 1): Service default/wrong: {field}: " in line


def test_a_slice_without_addresses(site: Site) -> None:
    """An endpoint without an address is reported with its slice and place."""
    empty = endpoint_slice("empty-1", "other")
    empty["endpoints"] = [{"addresses": []}]
    site.write("all.yaml", *_other_service()[:1], empty, service(), endpoint_slice())

    agent = site.start()

    site.wait_for_destinations(_GOOD)
    (line,) = agent.log_lines_with("left out")
    assert "EndpointSlice default/empty-1: endpoints[0].addresses" in line


def test_a_good_object_that_turns_bad_keeps_its_rules(site: Site) -> None:
    """After a bad edit a Service is served as before, while another edit is followed."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start()
    site.wait_for_destinations(_GOOD)

    site.write("web.yaml", service(ports=[{"port": "eighty"}]), endpoint_slice())
    site.write("other.yaml", *_other_service())

    site.wait_for_destinations(_GOOD, _OTHER)
    (line,) = agent.log_lines_with("left out")
    assert "web.yaml (document 1): Service default/web: spec.ports[0].port" in line


def test_a_file_that_turns_unreadable_keeps_its_rules(site: Site) -> None:
    """A file that is no YAML any more counts as it was, until it can be read again."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start()
    site.wait_for_destinations(_GOOD)

    site.write_text("web.yaml", "kind: [")
    wait_until("it is reported", lambda: agent.log_lines_with("web.yaml", "not valid YAML") != [])
    site.write("other.yaml", *_other_service())
    site.wait_for_destinations(_GOOD, _OTHER)

    site.write("web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    site.wait_for_destinations("10.244.1.3:8080", _OTHER)


def test_no_manifests_at_all(site: Site) -> None:
    """A path that does not exist ends the command with one sentence, and nothing is programmed."""
    done = site.run_to_its_end("--manifests=/nonexistent/manifests")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "dataplane: /nonexistent/manifests: no such file or folder"
    )
    assert not site.has_rules
