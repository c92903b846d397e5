# SPDX-License-Identifier: Apache-2.0
"""Where one scenario plays: its namespace, its pods, and what runs beside its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rules.ir import Family
from tests.cluster.questions import Questioner
from tests.e2e.backend import Backend, Conversing, Pods
from tests.e2e.errors import UnknownNameError
from tests.e2e.question import Question
from tests.e2e.references import References, with_texts
from tests.e2e.schema import Differences, Expectation, Manifest, Names, as_tuple


@dataclass(slots=True)
class Stage:
    """What the steps of one scenario work with."""

    cluster: Backend
    namespace: str
    pods: Pods
    loops: dict[str, list[Questioner]] = field(default_factory=dict)
    conversations: dict[str, list[tuple[Question, Conversing]]] = field(default_factory=dict)
    """With who asks."""
    api_server_is_up: bool = True
    nodes_are_changed: bool = False
    _services: dict[str, Manifest] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Backend, namespace: str) -> Stage:
        """An empty one."""
        return cls(cluster, namespace, cluster.pods_of(namespace))

    def resolved(self, value: Any, family: Family = Family.IPV4) -> Any:  # noqa: ANN401 - YAML
        """A value of the file, with all references in it replaced."""
        references = References(
            self.namespace,
            lambda name: self.cluster.nodes[self.node(name)].address,
            lambda name: self.pods[name].address,
            self._service,
        )
        return with_texts(value, lambda text: references.resolve(text, family))

    def nodes(self, names: Names) -> tuple[str, ...]:
        """The nodes of these names; all if there are none."""
        wanted = as_tuple(names) or tuple(self.cluster.nodes)
        unknown = set(wanted) - set(self.cluster.nodes)
        if unknown:
            raise UnknownNameError(f"there is no node {', '.join(sorted(unknown))}")
        return wanted

    def node(self, name: str) -> str:
        """The node of this name."""
        (found,) = self.nodes((name,))
        return found

    def is_asked(self, differences: Differences) -> bool:
        """Whether the program of this run is held to a step at all."""
        difference = differences.get(self.cluster.program)
        return difference is None or difference.expect is not None

    def expected(self, expect: Expectation, differences: Differences) -> Expectation:
        """What the program of this run is held to."""
        difference = differences.get(self.cluster.program)
        return difference.expect if difference and difference.expect else expect

    def questioners(self) -> Iterator[Questioner]:
        """All that run."""
        for loop in self.loops.values():
            yield from loop

    def _service(self, name: str) -> Manifest:
        """A Service as it is; as it was last seen while nobody can be asked."""
        if self.api_server_is_up:
            found = self.cluster.api.get("v1", "Service", name, self.namespace)
            self._services[name] = found
        return self._services[name]
