# SPDX-License-Identifier: Apache-2.0
"""Alerts and dashboard: right for Prometheus, and about metrics that the agent exports."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.shipping.exported import exported_metrics
from tests.shipping.places import HACK

_MONITORING: Final = HACK / "monitoring"
_ALERTS: Final = _MONITORING / "alerts.yaml"
_ALERTS_TEST: Final = _MONITORING / "alerts_test.yaml"
_OURS: Final = re.compile(r"\b((?:dataplane|kubeproxy|process|rest_client)_\w+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_BY: Final = re.compile(r"\bby \(([^)]*)\)")
_OF_A_TARGET: Final = frozenset({"instance"})
"""Labels that Prometheus adds to what it scrapes."""


@pytest.fixture(scope="module")
def promtool() -> str:
    """The program that Prometheus checks its rules with."""
    found = subprocess.run(
        [_MONITORING / "promtool.sh"], capture_output=True, text=True, timeout=100, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    found: dict[str, Any] = json.loads((_MONITORING / "dashboard.json").read_text())
    return found


def _alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(_ALERTS.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _queries(dashboard: dict[str, Any]) -> Iterator[str]:
    """All queries, with values in place of Grafana's variables."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".+")


def _run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def _assert_exported(expression: str, exported: dict[str, frozenset[str]]) -> None:
    """All metrics of an expression exist, with the labels that it asks for."""
    used = _OURS.findall(expression)
    assert used, expression
    labels = {label for name, _ in used for label in exported.get(name, ())} | _OF_A_TARGET
    for name, matchers in used:
        assert name in exported, expression
        assert set(_MATCHER.findall(matchers)) <= exported[name] | _OF_A_TARGET, expression
    for group in _BY.findall(expression):
        assert set(re.findall(r"\w+", group)) <= labels, expression


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, frozenset[str]]:
    """Labels by the names of samples."""
    return dict(exported_metrics(tmp_path_factory.mktemp("proc_sys")))


def test_prometheus_accepts_the_alerts(promtool: str) -> None:
    """They are valid rules."""
    done = _run(promtool, "check", "rules", _ALERTS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(_alerts())} rules found" in done.stdout


def test_alerts_fire_when_they_should(promtool: str) -> None:
    """On the series of the test file, and at no other time or place in them."""
    done = _run(promtool, "test", "rules", _ALERTS_TEST)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_to_fire_and_not_to_fire() -> None:
    """The test file has both for all alerts, and beside what fires, series that do not."""
    fires: dict[str, set[bool]] = {}
    for case in yaml.safe_load(_ALERTS_TEST.read_text())["tests"]:
        series = [one["series"] for one in case["input_series"]]
        for instance in ("bad", "good"):
            assert any(f'instance="{instance}"' in one for one in series), case["name"]
        for check in case["alert_rule_test"]:
            fires.setdefault(check["alertname"], set()).add(bool(check["exp_alerts"]))

    assert fires == {alert["alert"]: {True, False} for alert in _alerts()}


def test_alerts_are_about_metrics_that_exist(exported: dict[str, frozenset[str]]) -> None:
    """With the labels that they select and group by, and those that their texts name."""
    for alert in _alerts():
        _assert_exported(alert["expr"], exported)
        known = {label for name, _ in _OURS.findall(alert["expr"]) for label in exported[name]}
        told = re.findall(r"\$labels\.(\w+)", str(alert["annotations"]))
        assert set(told) <= known | _OF_A_TARGET, alert["alert"]


def test_the_dashboard_is_about_metrics_that_exist(
    dashboard: dict[str, Any], exported: dict[str, frozenset[str]]
) -> None:
    """With the labels that its queries and legends name."""
    for query in _queries(dashboard):
        _assert_exported(query, exported)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            named = [name for name, _ in _OURS.findall(target["expr"])]
            labels = {label for name in named for label in exported[name]} | _OF_A_TARGET
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels


def test_prometheus_accepts_the_queries_of_the_dashboard(
    promtool: str, dashboard: dict[str, Any], tmp_path: Path
) -> None:
    """As rules that record what they ask for."""
    records = [
        {"record": f"query_{number}", "expr": query}
        for number, query in enumerate(_queries(dashboard))
    ]
    rules = tmp_path / "queries.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": records}]}))

    done = _run(promtool, "check", "rules", rules)

    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_places_of_their_own(dashboard: dict[str, Any]) -> None:
    """Each has an id, and none covers another."""
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_above, (one, other)
