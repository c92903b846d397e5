# SPDX-License-Identifier: Apache-2.0
"""Files of scenarios: YAML, one scenario a document."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import yaml

from dataplane.config.document import StrictLoader
from tests.e2e.schema import Pods, Scenario


class ScenarioError(Exception):
    """A file of scenarios cannot be used.

    Attributes:
        file: which one.
        document: the number of the scenario in it, from 1; 0 if it is about the whole file.
        field: where in that, such as ``$.steps[2].expect``; empty if nowhere in particular.
    """

    def __init__(self, file: Path, document: int, field: str, reason: str) -> None:
        self.file = file
        self.document = document
        self.field = field
        place = [str(file), f"scenario {document}" if document else "", field]
        super().__init__(f"{', '.join(filter(None, place))}: {reason}")


def load_folder(folder: Path) -> tuple[Scenario, ...]:
    """All scenarios in the ``*.yaml`` files of a folder, by file name.

    Raises:
        ScenarioError: a file cannot be used, or two scenarios have the same name.
    """
    return load_files(sorted(folder.glob("*.yaml")))


def load_files(files: Iterable[Path]) -> tuple[Scenario, ...]:
    """All scenarios of some files; raises as :func:`load_folder`."""
    scenarios: dict[str, Scenario] = {}
    for file in files:
        for number, content in enumerate(_documents(file), start=1):
            scenario = _decode(content, file, number)
            if scenario.name in scenarios:
                reason = f"another scenario is called {scenario.name!r} already"
                raise ScenarioError(file, number, "$.name", reason)
            scenarios[scenario.name] = scenario
    return tuple(scenarios.values())


def _documents(file: Path) -> list[object]:
    try:
        return list(yaml.load_all(file.read_bytes(), Loader=StrictLoader))
    except OSError as error:
        raise ScenarioError(file, 0, "", f"cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(file, 0, "", f"is not valid YAML: {error}") from error


def _decode(content: object, file: Path, number: int) -> Scenario:
    try:
        scenario = msgspec.convert(content, Scenario)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at ")
        raise ScenarioError(file, number, field.strip("`") or "$", reason) from None
    _refuse_pods_of_one_name(scenario, file, number)
    return scenario


def _refuse_pods_of_one_name(scenario: Scenario, file: Path, number: int) -> None:
    added = [pod for step in scenario.steps if isinstance(step, Pods) for pod in step.pods]
    seen: set[str] = set()
    for pod in (*scenario.pods, *added):
        if pod.name in seen:
            reason = f"two pods are called {pod.name!r}: a scenario never uses a name again"
            raise ScenarioError(file, number, "$.pods", reason)
        seen.add(pod.name)
