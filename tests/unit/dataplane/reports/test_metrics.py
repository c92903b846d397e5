# SPDX-License-Identifier: Apache-2.0
"""What is counted, under which names: read as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from platform import python_version

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dataplane.errors import CommitRefusedError, ConflictError, KernelError, LockTimeoutError
from dataplane.reports.metrics import Metrics, Phase
from dataplane.sources.api import ApiRequest
from rules.ir import Family, TableName
from tests.unit.dataplane.clock import Clock

IPV4, IPV6 = Family.IPV4, Family.IPV6

# Type and labels of each, in kube-proxy 1.36: pkg/proxy/metrics/metrics.go, those for iptables
# mode but for its two counters of nfacct rules, which need a kernel module.
_RULES = "kubeproxy_sync_proxy_rules"
KUBE_PROXY = {
    f"{_RULES}_duration_seconds": ("histogram", {"ip_family"}),
    "kubeproxy_sync_full_proxy_rules_duration_seconds": ("histogram", {"ip_family"}),
    "kubeproxy_sync_partial_proxy_rules_duration_seconds": ("histogram", {"ip_family"}),
    "kubeproxy_network_programming_duration_seconds": ("histogram", {"ip_family"}),
    "kubeproxy_conntrack_reconciler_sync_duration_seconds": ("histogram", {"ip_family"}),
    "kubeproxy_conntrack_reconciler_deleted_entries_total": ("counter", {"ip_family"}),
    f"{_RULES}_last_timestamp_seconds": ("gauge", {"ip_family"}),
    f"{_RULES}_last_queued_timestamp_seconds": ("gauge", {"ip_family"}),
    f"{_RULES}_endpoint_changes_pending": ("gauge", set()),
    f"{_RULES}_endpoint_changes_total": ("counter", set()),
    f"{_RULES}_service_changes_pending": ("gauge", set()),
    f"{_RULES}_service_changes_total": ("counter", set()),
    f"{_RULES}_iptables_restore_failures_total": ("counter", {"ip_family"}),
    f"{_RULES}_iptables_partial_restore_failures_total": ("counter", {"ip_family"}),
    f"{_RULES}_iptables_total": ("gauge", {"table", "ip_family"}),
    f"{_RULES}_iptables_last": ("gauge", {"table", "ip_family"}),
    f"{_RULES}_no_local_endpoints_total": ("gauge", {"traffic_policy", "ip_family"}),
    "kubeproxy_proxy_healthz_total": ("counter", {"code"}),
    "kubeproxy_proxy_livez_total": ("counter", {"code"}),
}


@pytest.fixture
def clock() -> Clock:
    """A clock at its start."""
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    """The metrics of an agent that just started."""
    return Metrics(Family, monotonic=clock.monotonic, now=clock.epoch)


def _samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def _labels(metrics: Metrics, name: str) -> list[dict[str, str]]:
    """The labels of all samples of that name, in order."""
    return [
        sample.labels
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == name
    ]


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return _samples(metrics).get((name, frozenset(labels.items())))


def _let_everything_happen(metrics: Metrics) -> None:
    metrics.sync_queued(IPV4)
    metrics.sync_succeeded(IPV4, 0.1, full=True, set_aside=0)
    metrics.sync_failed(IPV4, 0.1, KernelError("broken"), full=False)
    metrics.table_synced(IPV4, TableName.NAT, written=1, repaired=0)
    metrics.table_standing(IPV4, TableName.NAT, rules=1, chains=1)
    metrics.phase_ended(IPV4, Phase.BUILD, 0.1)
    metrics.lock_waited(0.1)
    metrics.commit_conflicted(IPV4, TableName.NAT)
    metrics.no_local_endpoints(IPV4, internal=1, external=1)
    metrics.network_programmed(IPV4, 0.0)
    metrics.conntrack_reconciled(IPV4, 0.1, deleted=1)
    metrics.services_changed()
    metrics.slices_changed()
    metrics.healthz_answered(200)
    metrics.livez_answered(200)
    metrics.object_skipped("Service")
    metrics.source_interrupted("Service")


def test_names_types_and_labels_are_kube_proxy_s(metrics: Metrics) -> None:
    """Each metric of kube-proxy is there, and none is made up under its name."""
    _let_everything_happen(metrics)
    found: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        if family.name.startswith("kubeproxy_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels}
            found[name] = (family.type, labels - {"le"})
    assert found == KUBE_PROXY


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            f"{_RULES}_duration_seconds",
            " ".join(str(0.001 * 2**power) for power in range(15)) + " +Inf",
        ),
        (
            "kubeproxy_network_programming_duration_seconds",
            "0 0.25 0.5 "
            + " ".join(map(str, (*range(1, 60), *range(60, 120, 5), *range(120, 301, 30))))
            + " +Inf",
        ),
    ],
)
def test_buckets_are_kube_proxy_s(metrics: Metrics, name: str, expected: str) -> None:
    """Buckets have kube-proxy's bounds, and are named in its way: 1 and not 1.0."""
    _let_everything_happen(metrics)
    head = f'{name}_bucket{{ip_family="IPv4",le="'
    lines = metrics.text().decode().splitlines()
    bounds = [line.removeprefix(head).partition('"')[0] for line in lines if line.startswith(head)]
    assert " ".join(bounds) == expected


def test_requests_are_counted_as_client_go_does(metrics: Metrics) -> None:
    """By code, method and host, and timed by verb and host with its buckets."""
    host = "192.0.2.1:6443"
    metrics.api_requested(ApiRequest("GET", host, 200, 0.3))
    metrics.api_requested(ApiRequest("GET", host, 200, None))
    metrics.api_requested(ApiRequest("GET", host, None, 30.0))

    requests = {"method": "GET", "host": host}
    assert _value(metrics, "rest_client_requests_total", code="200", **requests) == 2
    assert _value(metrics, "rest_client_requests_total", code="<error>", **requests) == 1
    name = "rest_client_request_duration_seconds"
    assert _value(metrics, f"{name}_count", verb="GET", host=host) == 2
    assert [labels["le"] for labels in _labels(metrics, f"{name}_bucket")] == [
        *("0.005", "0.025", "0.1", "0.25", "0.5"),
        *("1", "2", "4", "8", "15", "30", "60", "+Inf"),
    ]


def test_the_version_is_told(metrics: Metrics) -> None:
    """Whoever compares nodes sees which of them have which version."""
    (labels,) = _labels(metrics, "dataplane_build_info")
    assert labels == {
        "version": version("kube-dataplane"),
        "python_version": python_version(),
    }


def test_no_series_of_creation_times(metrics: Metrics) -> None:
    """No series is added that kube-proxy does not have."""
    _let_everything_happen(metrics)
    assert b"_created" not in metrics.text()


def test_failures_are_there_before_the_first(metrics: Metrics) -> None:
    """Counters of failures begin at zero: an alert on their increase sees the first failure."""
    for family in ("IPv4", "IPv6"):
        name = f"{_RULES}_iptables_restore_failures_total"
        assert _value(metrics, name, ip_family=family) == 0
        reason = {"ip_family": family, "reason": "lock_timeout"}
        assert _value(metrics, "dataplane_sync_failures_total", **reason) == 0


@pytest.mark.parametrize(("full", "kind"), [(True, "full"), (False, "partial")])
def test_a_sync_counts_as_full_or_partial(metrics: Metrics, *, full: bool, kind: str) -> None:
    """Its duration is among all syncs and among those of its kind only."""
    metrics.sync_succeeded(IPV6, 0.1, full=full, set_aside=3)
    counts = {
        name: _value(metrics, f"kubeproxy_{name}_duration_seconds_count", ip_family="IPv6")
        for name in ("sync_proxy_rules", "sync_full_proxy_rules", "sync_partial_proxy_rules")
    }
    other = "partial" if full else "full"
    assert counts == {
        "sync_proxy_rules": 1,
        f"sync_{kind}_proxy_rules": 1,
        f"sync_{other}_proxy_rules": None,
    }
    assert _value(metrics, "dataplane_services_set_aside", ip_family="IPv6") == 3


def test_timestamps_are_of_success_and_of_the_request(metrics: Metrics, clock: Clock) -> None:
    """A hanging sync shows as a request that is later than the last success."""
    metrics.sync_succeeded(IPV4, 0.1, full=False, set_aside=0)
    succeeded = clock.epoch()
    clock.seconds = 7.0
    metrics.sync_queued(IPV4)
    metrics.sync_failed(IPV4, 0.1, KernelError("broken"), full=False)
    assert _value(metrics, f"{_RULES}_last_timestamp_seconds", ip_family="IPv4") == succeeded
    assert _value(metrics, f"{_RULES}_last_queued_timestamp_seconds", ip_family="IPv4") == (
        succeeded + 7
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LockTimeoutError("held"), "lock_timeout"),
        (ConflictError("changed"), "conflict"),
        (CommitRefusedError("refused", 22), "refused"),
        (KernelError("broken"), "other"),
    ],
)
def test_failures_by_reason(metrics: Metrics, error: KernelError, reason: str) -> None:
    """A failed sync counts as kube-proxy counts it, and by its reason."""
    metrics.sync_failed(IPV4, 0.1, error, full=True)
    labels = {"ip_family": "IPv4", "reason": reason}
    failures = f"{_RULES}_iptables_restore_failures_total"
    partial = f"{_RULES}_iptables_partial_restore_failures_total"
    assert _value(metrics, "dataplane_sync_failures_total", **labels) == 1
    assert _value(metrics, failures, ip_family="IPv4") == 1
    assert _value(metrics, partial, ip_family="IPv4") == 0


def test_repairs_count_times_and_rules(metrics: Metrics) -> None:
    """A sync that mends rules counts once, with its rules; one that does not leaves both alone."""
    metrics.table_synced(IPV4, TableName.NAT, written=9, repaired=4)
    metrics.table_synced(IPV4, TableName.NAT, written=2, repaired=0)
    labels = {"ip_family": "IPv4", "table": "nat"}
    assert _value(metrics, "dataplane_repairs_total", **labels) == 1
    assert _value(metrics, "dataplane_repaired_rules_total", **labels) == 4
    assert _value(metrics, f"{_RULES}_iptables_last", **labels) == 2


def test_rules_that_stand(metrics: Metrics) -> None:
    """The size of a table is told under kube-proxy's name and, with its chains, under ours."""
    metrics.table_standing(IPV4, TableName.FILTER, rules=12, chains=5)
    labels = {"ip_family": "IPv4", "table": "filter"}
    assert _value(metrics, f"{_RULES}_iptables_total", **labels) == 12
    assert _value(metrics, "dataplane_rules", **labels) == 12
    assert _value(metrics, "dataplane_chains", **labels) == 5


def test_changes_are_pending_until_a_sync_takes_them(metrics: Metrics) -> None:
    """Pending changes fall to zero with a sync; the totals stay."""
    metrics.services_changed(3)
    metrics.slices_changed()
    assert _value(metrics, f"{_RULES}_service_changes_pending") == 3
    assert _value(metrics, f"{_RULES}_endpoint_changes_pending") == 1
    metrics.changes_taken()
    assert _value(metrics, f"{_RULES}_service_changes_pending") == 0
    assert _value(metrics, f"{_RULES}_endpoint_changes_pending") == 0
    assert _value(metrics, f"{_RULES}_service_changes_total") == 3
    assert _value(metrics, f"{_RULES}_endpoint_changes_total") == 1


def test_network_programming_is_timed_from_the_trigger(metrics: Metrics, clock: Clock) -> None:
    """The time since the change is observed; a trigger from the future counts as no time."""
    metrics.network_programmed(IPV4, clock.epoch() - 4)
    metrics.network_programmed(IPV4, clock.epoch() + 60)
    name = "kubeproxy_network_programming_duration_seconds"
    assert _value(metrics, f"{name}_sum", ip_family="IPv4") == pytest.approx(4)
    assert _value(metrics, f"{name}_count", ip_family="IPv4") == 2


@pytest.mark.parametrize(
    ("happen", "name", "labels"),
    [
        (lambda m: m.healthz_answered(503), "kubeproxy_proxy_healthz_total", {"code": "503"}),
        (lambda m: m.livez_answered(200), "kubeproxy_proxy_livez_total", {"code": "200"}),
        (
            lambda m: m.object_skipped("EndpointSlice"),
            "dataplane_objects_skipped_total",
            {"kind": "EndpointSlice"},
        ),
        (
            lambda m: m.object_skipped("whatever a file says"),
            "dataplane_objects_skipped_total",
            {"kind": "other"},
        ),
        (
            lambda m: m.commit_conflicted(IPV6, TableName.NAT),
            "dataplane_commit_conflicts_total",
            {"ip_family": "IPv6", "table": "nat"},
        ),
        (lambda m: m.lock_waited(0.5), "dataplane_xtables_lock_wait_seconds_count", {}),
        (
            lambda m: m.phase_ended(IPV4, Phase.APPLY, 0.5),
            "dataplane_sync_phase_duration_seconds_count",
            {"ip_family": "IPv4", "phase": "apply"},
        ),
        (
            lambda m: m.no_local_endpoints(IPV4, internal=0, external=1),
            f"{_RULES}_no_local_endpoints_total",
            {"ip_family": "IPv4", "traffic_policy": "external"},
        ),
        (
            lambda m: m.conntrack_reconciled(IPV4, 0.1, deleted=1),
            "kubeproxy_conntrack_reconciler_deleted_entries_total",
            {"ip_family": "IPv4"},
        ),
    ],
)
def test_what_happens_is_counted(
    metrics: Metrics, happen: Callable[[Metrics], None], name: str, labels: dict[str, str]
) -> None:
    """One occurrence is one, under its name and labels."""
    happen(metrics)
    assert _value(metrics, name, **labels) == 1


def test_age_of_a_source(metrics: Metrics, clock: Clock) -> None:
    """What is known ages from the first interruption on, until the source is followed again."""

    def age() -> float | None:
        return _value(metrics, "dataplane_source_age_seconds", kind="Service")

    assert age() is None
    metrics.source_followed("Service")
    clock.seconds = 100.0
    assert age() == 0
    metrics.source_interrupted("Service")
    clock.seconds = 103.0
    metrics.source_interrupted("Service")
    clock.seconds = 105.0
    assert age() == 5
    assert _value(metrics, "dataplane_watch_restarts_total", kind="Service") == 2
    metrics.source_followed("Service")
    assert age() == 0
