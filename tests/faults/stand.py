# SPDX-License-Identifier: Apache-2.0
"""A node with an agent, an API server and a client, and two services with endpoints.

The service ``web`` never changes: it must answer whatever happens. The service ``news`` has one
endpoint, which the tests move, so that an answer tells which change the node follows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from lab import Answered, NodeLab, Target, probe, wait_until
from lab.plan import Pod
from tests.address_plan import IPV4, PLANS, AddressPlan
from tests.apiserver import FakeApiServer
from tests.apiserver.objects import endpoint_slice, node, service
from tests.apiserver.store import JsonObject
from tests.command.site import NODE_NAME, AgentProcess, Site
from tests.faults.connect_loop import all_answered
from tests.kernel.traffic import LOCAL, OTHER_LOCAL, REMOTE, of, tcp

POD_PORT: Final = 8080
SOON_SECONDS: Final = 5.0
"""How long the node may be behind the cluster once nothing is in the way any more."""

_WEB: Final = tuple(tcp(plan.cluster_ip) for plan in PLANS)
_NEWS: Final = tcp(IPV4.other_cluster_ip)
_HEALTHZ: Final = "http://127.0.0.1:10256/healthz"
_METRICS: Final = "http://127.0.0.1:10249/metrics"

Contents = dict[tuple[str, str], list[str]]


class Stand:
    """What one test has to itself."""

    def __init__(self, site: Site, server: FakeApiServer, machines: NodeLab) -> None:
        """Fill ``server``; the agent is not started yet."""
        self.site = site
        self.server = server
        self._client = machines.pods[OTHER_LOCAL.name]
        server.put(node(NODE_NAME))
        server.put(service("web", clusterIPs=[plan.cluster_ip for plan in PLANS]))
        for plan in PLANS:
            server.put(slice_of(plan, "web", of(plan, LOCAL.address), of(plan, REMOTE.address)))
        server.put(news_service())
        self.tell_news(LOCAL)

    def start(self, *flags: str) -> AgentProcess:
        """Start an agent."""
        return self.site.start(*flags, source=self.source)

    def start_and_wait(self, *flags: str) -> AgentProcess:
        """Start an agent and wait until the client is answered and all changes are watched."""
        agent = self.start(*flags)
        self.wait_until_answered()
        self.wait_for_news(LOCAL)
        self.server.wait_for(
            lambda: all(self.server.watched_from(path) for path in WATCHED_PATHS),
        )
        return agent

    @property
    def source(self) -> str:
        """The flag that leads to the API server."""
        return f"--kubeconfig={self.server.kubeconfig(self.site.folder)}"

    def wait_until_answered(self) -> None:
        """Wait until ``web`` is answered in both families."""
        for target in _WEB:
            wait_until(f"{target} is answered", partial(self._is_answered, target))

    def all_answered(self) -> AbstractContextManager[None]:
        """Let the client ask ``web`` all through the block; each question must be answered."""
        return all_answered(self._client, _WEB)

    def tell_news(self, pod: Pod) -> None:
        """Move the endpoint of ``news`` to ``pod``, in the cluster."""
        news = slice_of(IPV4, "news", pod.address.ipv4)
        changed_at = datetime.now(UTC).isoformat()
        news["metadata"]["annotations"] = {
            "endpoints.kubernetes.io/last-change-trigger-time": changed_at
        }
        self.server.put(news)

    def is_followed(self, pod: Pod) -> bool:
        """Whether ``news`` is answered by ``pod``."""
        outcome = probe(self._client, _NEWS)
        return isinstance(outcome, Answered) and outcome.by == pod.name

    def wait_for_news(self, pod: Pod, *, seconds: float = 10.0) -> None:
        """Wait until the node follows the endpoint of ``news`` to ``pod``."""
        wait_until(f"{pod.name} answers", lambda: self.is_followed(pod), seconds=seconds)

    def contents(self) -> list[Contents]:
        """All chains of both families."""
        return [self.site.node.contents(plan) for plan in PLANS]

    def metric(self, sample: str, **labels: str) -> float:
        """The sum of a metric's samples that have ``labels``."""
        return sum(
            found.value
            for family in text_string_to_metric_families(self._get(_METRICS)[1])
            for found in family.samples
            if found.name == sample and labels.items() <= found.labels.items()
        )

    def is_healthy(self) -> bool:
        """What /healthz says; its code and its text must agree."""
        code, text = self._get(_HEALTHZ)
        healthy: bool = json.loads(text)["healthy"]
        assert code == (200 if healthy else 503), text
        return healthy

    def _is_answered(self, target: Target) -> bool:
        return isinstance(probe(self._client, target), Answered)

    def _get(self, url: str) -> tuple[int, str]:
        with self.site.host.entered():
            try:
                with urlopen(url, timeout=5) as answer:  # noqa: S310 - http, see above
                    return answer.status, answer.read().decode()
            except HTTPError as error:
                with error:
                    return error.code, error.read().decode()


WATCHED_PATHS: Final = (
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/api/v1/nodes",
)


def news_service(address: str = IPV4.other_cluster_ip) -> JsonObject:
    """The Service ``news``."""
    return service("news", clusterIP=address, clusterIPs=[address])


def slice_of(plan: AddressPlan, service_name: str, *addresses: str) -> JsonObject:
    """The EndpointSlice of one service and family."""
    one = endpoint_slice(f"{service_name}-{plan.family.value}", service_name)
    one["addressType"] = "IPv4" if plan is IPV4 else "IPv6"
    one["endpoints"] = [{"addresses": [address], "nodeName": NODE_NAME} for address in addresses]
    return one


def rules_in(lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Table, chain and text of each rule that iptables-save or ``dataplane dump`` prints."""
    table = ""
    for line in lines:
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A"):
            yield table, line.split()[1], line
