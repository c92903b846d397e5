# SPDX-License-Identifier: Apache-2.0
"""The metrics themselves: names, types, labels and buckets.

Names that begin with ``kubeproxy_`` are kube-proxy 1.36's in iptables mode, so that dashboards and
alerts go on working; those that begin with ``dataplane_`` are this agent's own. All of them are an
interface: changing a name, a label or a bucket breaks somebody's alert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from platform import python_version
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric

_FAMILY: Final = "ip_family"
_DOUBLING: Final = tuple(0.001 * 2**power for power in range(15))
_PROGRAMMING: Final = (
    # kube-proxy's merging of buckets puts a bucket of zero first.
    *(0.0, 0.25, 0.5),
    *(float(seconds) for seconds in range(1, 60)),
    *(float(seconds) for seconds in range(60, 120, 5)),
    *(float(seconds) for seconds in range(120, 301, 30)),
)


class SyncMetrics:
    """kube-proxy's metrics of syncs and of what follows them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix, family = "kubeproxy_sync", (_FAMILY,)
        rules, tables = f"{prefix}_proxy_rules", ("table", _FAMILY)

        def timed(name: str, text: str, buckets: tuple[float, ...] = _DOUBLING) -> Histogram:
            return Histogram(name, text, family, buckets=buckets, registry=registry)

        def counted(name: str, text: str) -> Counter:
            return Counter(name, text, family, registry=registry)

        def shown(name: str, text: str, labels: tuple[str, ...] = family) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self.duration = timed(f"{rules}_duration_seconds", "Duration of syncs")
        self.full_duration = timed(
            f"{prefix}_full_proxy_rules_duration_seconds",
            "Duration of syncs that looked at all that should stand",
        )
        self.partial_duration = timed(
            f"{prefix}_partial_proxy_rules_duration_seconds",
            "Duration of syncs that looked at what changed",
        )
        self.programming = timed(
            "kubeproxy_network_programming_duration_seconds",
            "Time from a change of endpoints to the rules that follow it",
            _PROGRAMMING,
        )
        self.conntrack_duration = timed(
            "kubeproxy_conntrack_reconciler_sync_duration_seconds",
            "Duration of looking for stale conntrack entries",
        )
        self.conntrack_deleted = counted(
            "kubeproxy_conntrack_reconciler_deleted_entries_total", "Conntrack entries deleted"
        )
        self.last = shown(f"{rules}_last_timestamp_seconds", "When a sync last ended well")
        self.last_queued = shown(
            f"{rules}_last_queued_timestamp_seconds", "When a sync was last asked for"
        )
        self.rules_standing = shown(
            f"{rules}_iptables_total", "Rules of this agent in the kernel", tables
        )
        self.rules_written = shown(
            f"{rules}_iptables_last", "Rules written by the last sync", tables
        )
        self.failures = counted(f"{rules}_iptables_restore_failures_total", "Syncs that failed")
        self.partial_failures = counted(
            f"{rules}_iptables_partial_restore_failures_total",
            "Syncs that failed and looked only at what changed",
        )
        self.no_local_endpoints = shown(
            f"{rules}_no_local_endpoints_total",
            "Service ports with policy Local that have endpoints, but none on this node",
            ("traffic_policy", _FAMILY),
        )


class ChangeMetrics:
    """kube-proxy's metrics of what the cluster tells."""

    def __init__(self, registry: CollectorRegistry) -> None:
        rules = "kubeproxy_sync_proxy_rules"
        self.services = Counter(
            f"{rules}_service_changes_total", "Changes of Services", registry=registry
        )
        self.services_pending = Gauge(
            f"{rules}_service_changes_pending",
            "Changes of Services that the rules do not follow yet",
            registry=registry,
        )
        self.endpoints = Counter(
            f"{rules}_endpoint_changes_total", "Changes of EndpointSlices", registry=registry
        )
        self.endpoints_pending = Gauge(
            f"{rules}_endpoint_changes_pending",
            "Changes of EndpointSlices that the rules do not follow yet",
            registry=registry,
        )


class ClientMetrics:
    """client-go's metrics of requests to the API server, which kube-proxy shows as well."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "rest_client_requests_total",
            "Requests to the API server",
            ("code", "method", "host"),
            registry=registry,
        )
        self.duration = Histogram(
            "rest_client_request_duration_seconds",
            "Time until requests are answered, watches aside",
            ("verb", "host"),
            buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0),
            registry=registry,
        )


class HealthMetrics:
    """kube-proxy's metrics of questions about health."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.healthz = Counter(
            "kubeproxy_proxy_healthz_total", "Answers to /healthz", ("code",), registry=registry
        )
        self.livez = Counter(
            "kubeproxy_proxy_livez_total", "Answers to /livez", ("code",), registry=registry
        )


class OwnMetrics:
    """What kube-proxy does not tell."""

    def __init__(self, registry: CollectorRegistry) -> None:
        tables = (_FAMILY, "table")

        def counted(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"dataplane_{name}", text, labels, registry=registry)

        def shown(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"dataplane_{name}", text, labels, registry=registry)

        def timed(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(
                f"dataplane_{name}", text, labels, buckets=_DOUBLING, registry=registry
            )

        build = shown("build_info", "Always 1; which version this is", "version", "python_version")
        build.labels(version("kube-dataplane"), python_version()).set(1)
        self.phases = timed(
            "sync_phase_duration_seconds", "Duration of the parts of syncs", _FAMILY, "phase"
        )
        self.lock_wait = timed("xtables_lock_wait_seconds", "Waiting for the xtables lock")
        self.failures = counted(
            "sync_failures_total", "Syncs that failed, by reason", _FAMILY, "reason"
        )
        self.conflicts = counted(
            "commit_conflicts_total", "Commits that another writer was ahead of", *tables
        )
        self.rules = shown("rules", "Rules of this agent in the kernel", *tables)
        self.chains = shown("chains", "Chains of this agent in the kernel", *tables)
        self.repairs = counted(
            "repairs_total", "Syncs that found our rules changed by somebody else", *tables
        )
        self.repaired_rules = counted(
            "repaired_rules_total", "Rules brought back or taken away by repairs", *tables
        )
        self.set_aside = shown(
            "services_set_aside", "Services whose rules are not up to date", _FAMILY
        )
        self.skipped = counted("objects_skipped_total", "Objects that could not be used", "kind")
        self.interruptions = counted(
            "watch_restarts_total", "Times that following the cluster was interrupted", "kind"
        )


class SourceAges:
    """A collector of how old the news of each kind of objects may be, computed when asked for."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._interrupted_at: dict[str, float | None] = {}

    def interrupted(self, what: str) -> None:
        """News of ``what`` come no more."""
        with self._lock:
            if self._interrupted_at.get(what) is None:
                self._interrupted_at[what] = self._monotonic()

    def followed(self, what: str) -> None:
        """News of ``what`` come again, and nothing was missed."""
        with self._lock:
            self._interrupted_at[what] = None

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's Collector."""
        age = Metric(
            "dataplane_source_age_seconds",
            "How old what is known of the cluster may be; 0 while it is followed",
            "gauge",
        )
        with self._lock:
            now = self._monotonic()
            for what, since in sorted(self._interrupted_at.items()):
                age.add_sample(age.name, {"kind": what}, 0.0 if since is None else now - since)
        yield age
