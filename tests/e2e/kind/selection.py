# SPDX-License-Identifier: Apache-2.0
"""Which scenarios can be played on a kind cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.e2e.plan import NODES
from tests.e2e.schema import Apply, Delete, Patch, Requirement, Scenario

OFFERED: Final = frozenset({Requirement.IPV6, Requirement.NODE_RULES})
NOT_OFFERED: Final = {
    Requirement.PROXY_CONTROL: "it starts and ends agents, which the kubelet does here",
    Requirement.API_SERVER_CONTROL: "it stops the API server, which all questions here pass by",
}
_NODES_HAVE_OTHER_NAMES: Final = "it changes Nodes or names them in objects: they are kind's here"
_NODE_NAMES: Final = frozenset(node.name for node in NODES)


def why_not(scenario: Scenario) -> str:
    """Why a scenario cannot be played there, or nothing if it can."""
    reasons = [NOT_OFFERED[one] for one in scenario.requires if one not in OFFERED]
    if _is_about_nodes(scenario):
        reasons.append(_NODES_HAVE_OTHER_NAMES)
    return "; ".join(reasons)


def _is_about_nodes(scenario: Scenario) -> bool:
    return any(
        text in _NODE_NAMES or (key == "kind" and text == "Node")
        for part in _objects(scenario)
        for key, text in _texts(part)
    )


def _objects(scenario: Scenario) -> Iterator[object]:
    """All of the scenario that goes to the API server as it is."""
    yield from scenario.objects
    for step in scenario.steps:
        match step:
            case Apply():
                yield from step.objects
            case Patch():
                yield {"kind": step.kind, "merge": step.merge}
            case Delete():
                yield {"kind": step.kind}
            case _:
                pass


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any YAML
    """All texts in a value, each with the nearest key above it."""
    match value:
        case str():
            yield key, value
        case dict():
            for own, part in value.items():
                yield "", own
                yield from _texts(part, own)
        case list() | tuple():
            yield from _all_texts(value, key)


def _all_texts(parts: Iterable[object], key: str) -> Iterator[tuple[str, str]]:
    for part in parts:
        yield from _texts(part, key)
