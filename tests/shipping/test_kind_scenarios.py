# SPDX-License-Identifier: Apache-2.0
"""Which scenarios are played on kind, and what their pods are there."""

from __future__ import annotations

from typing import Any, Final

import kubernetes_validate
import msgspec
import pytest
import yaml

from kind.manifests import CLUSTER_FILE
from tests.e2e.kind.pods import real_pod
from tests.e2e.kind.selection import NOT_OFFERED, OFFERED, why_not
from tests.e2e.loading import load_folder
from tests.e2e.plan import NODES
from tests.e2e.schema import Pod, Requirement, Scenario
from tests.shipping.places import REPOSITORY

_IMAGE: Final = "localhost/kube-dataplane:test"
_WAIT: Final = {"do": "wait", "seconds": 0, "reason": "one step is the least"}
_NODE: Final = "another-name-control-plane"


def _scenario(**fields: object) -> Scenario:
    content = {"name": "one", "description": "It works.", "steps": [_WAIT], **fields}
    return msgspec.convert(content, Scenario)


def _step(**fields: object) -> Scenario:
    return _scenario(steps=[fields])


def _service(**fields: object) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": fields}


@pytest.mark.parametrize("requirement", list(Requirement))
def test_what_a_scenario_requires_decides(requirement: Requirement) -> None:
    """A scenario is played if kind offers all it requires, else the reason is that of the rest."""
    reason = why_not(_scenario(requires=["ipv6", requirement.value]))

    assert reason == ("" if requirement in OFFERED else NOT_OFFERED[requirement])


def test_all_reasons_are_told() -> None:
    """A scenario with two reasons has both named."""
    reason = why_not(_scenario(requires=["api-server-control", "proxy-control"]))

    assert NOT_OFFERED[Requirement.API_SERVER_CONTROL] in reason
    assert NOT_OFFERED[Requirement.PROXY_CONTROL] in reason


@pytest.mark.parametrize(
    "scenario",
    [
        _scenario(objects=[{"kind": "EndpointSlice", "endpoints": [{"nodeName": "node-a"}]}]),
        _scenario(objects=[_service(), {"apiVersion": "v1", "kind": "Node"}]),
        _step(do="apply", objects=[{"apiVersion": "v1", "kind": "Node"}]),
        _step(do="patch", kind="Node", name="node-b", merge={"spec": {"taints": []}}),
        _step(
            do="patch", kind="Service", name="web", merge={"metadata": {"labels": {"a": "node-c"}}}
        ),
        _step(do="delete", kind="Node", name="node-c"),
    ],
)
def test_nodes_that_have_other_names(scenario: Scenario) -> None:
    """A scenario that hands the API server a node's name, or changes a Node, is not played."""
    assert "changes Nodes or names them" in why_not(scenario)


def test_nodes_that_the_runner_finds() -> None:
    """The names of nodes in pods and questions are no obstacle."""
    asked = _scenario(
        pods=[{"name": "one", "node": "node-a"}],
        objects=[_service(clusterIP="10.96.0.9"), {"kind": "EndpointSlice", "name": "node"}],
        steps=[
            {
                "do": "probe",
                "from": ["node/node-b", "client"],
                "to": "<node/node-c.ip>:30000",
                "via": "node-c",
                "expect": {"pods": ["one"]},
            }
        ],
    )
    assert why_not(asked) == ""


def test_most_scenarios_are_played() -> None:
    """Of the scenarios that there are, kind plays at least half."""
    scenarios = load_folder(REPOSITORY / "tests" / "e2e" / "scenarios")

    played = [one for one in scenarios if not why_not(one)]
    assert len(played) * 2 >= len(scenarios)


def test_nodes_are_in_the_same_zones() -> None:
    """Nodes of kind, in the order of their names, have the zones that the scenarios' nodes have."""
    nodes = yaml.safe_load(CLUSTER_FILE.read_text(encoding="utf-8"))["nodes"]

    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    zones = [node["labels"]["topology.kubernetes.io/zone"] for node in nodes]
    assert zones == [node.zone for node in NODES]


@pytest.mark.parametrize("is_on_host", [False, True])
def test_an_api_server_would_take_the_pods(*, is_on_host: bool) -> None:
    """The manifest of a real pod fits the API's schemas."""
    pod = Pod(name="one", node="node-a", labels={"app": "web"}, host_network=is_on_host)

    made = real_pod(pod, _NODE, _IMAGE)

    kubernetes_validate.validate(made, kubernetes_validate.latest_version(), strict=True)
    assert made["spec"]["hostNetwork"] is is_on_host
    assert made["spec"]["nodeName"] == _NODE
    assert made["metadata"] == {"name": "one", "labels": {"app": "web"}}


def test_a_pod_serves_its_ports_under_its_name() -> None:
    """Servers are told name, addresses and each port once, however many names it has."""
    pod = Pod(name="one", node="node-a", ports={"http": 8080, "other": 9090, "same": 8080})

    (container,) = real_pod(pod, _NODE, _IMAGE)["spec"]["containers"]

    arguments = container["command"][container["command"].index("serve") :]
    assert arguments == ["serve", "one", "$(ADDRESSES)", "8080", "9090"]
    assert "ADDRESSES" in {one["name"] for one in container["env"]}
    assert {one["name"] for one in container["ports"] if one["protocol"] == "TCP"} == {*pod.ports}
