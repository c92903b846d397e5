# SPDX-License-Identifier: Apache-2.0
"""What stands on the board beside what the kernel says. For one thread, which may wait."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Final, NamedTuple

from dataplane.diff import kernel_differences
from dataplane.kernel.live import live_rule_set
from dataplane.local_networks import local_networks
from dataplane.reports.observation import SyncOutcome
from dataplane.settings import Settings
from dataplane.status.board import StatusBoard
from dataplane.status.errors import NothingYetError, UntraceableError
from dataplane.status.query import Order, ServicesQuery, TraceQuery, Which
from dataplane.status.worker import Cached
from dataplane.traffic.reader import TrafficReader
from rules.comparison import ChainDifference, json_differences
from rules.ir import Family
from rules.jsonform import JsonObject
from rules.trace.absence import absences
from rules.trace.errors import TraceError
from rules.trace.jsonform import json_trace
from rules.trace.report import Trace
from rules.trace.rule_set import RuleSet, desired_rule_set
from rules.trace.tracer import Tracer
from rules.trace.words import trace_words
from rules.traffic.jsonform import json_service
from rules.traffic.report import ServiceTraffic

_MOST_ENDPOINTS: Final = 50
_MOST_PATHS: Final = 64
_MOST_CHAINS: Final = 100
_TRIES: Final = 3


class _Comparison(NamedTuple):
    differences: list[ChainDifference]
    families: list[str]
    is_still: bool


class Inspection:
    """Answers that need the kernel."""

    def __init__(
        self, settings: Settings, families: Collection[Family], board: StatusBoard
    ) -> None:
        self._board = board
        self._reader = TrafficReader(settings, families)
        self._traffic = Cached(self._read_traffic)
        self._differences = Cached(self._read_differences)

    def services(self, query: ServicesQuery) -> JsonObject:
        """The service ports that ``query`` asks for, with how many there are.

        The form is that of :mod:`rules.traffic.jsonform`; of many endpoints of a service port only
        the first are there, and ``endpointCount`` tells how many there are.

        Raises:
            KernelError: the counters cannot be read.
        """
        everything = self._traffic.get()
        found = [one for one in everything if _is_asked_for(one, query.search)]
        if query.order is Order.RATE:
            found.sort(key=lambda one: -(one.connections.rate or 0.0))
        rates = [one.connections.rate for one in everything if one.connections.rate is not None]
        return {
            "total": len(everything),
            "found": len(found),
            "connectionsPerSecond": sum(rates) if rates else None,
            "services": _with_few_endpoints(found[: query.most]),
        }

    def differences(self) -> JsonObject:
        """How the kernel's rules differ from those that were last committed.

        The form is that of :mod:`rules.comparison`; of very many chains only the first are there,
        and ``chains`` tells how many differ. ``isStill`` is whether no sync was at work meanwhile,
        which otherwise shows as a difference.

        Raises:
            KernelError: a table cannot be read.
        """
        return self._differences.get()

    def trace(self, query: TraceQuery) -> JsonObject:
        """What becomes of a packet on this node.

        The form is that of :mod:`rules.trace.jsonform`, with the same in ``words``; of very many
        paths only the first are there, and ``pathCount`` tells how many there are.

        Raises:
            NothingYetError: it is not known yet what is desired.
            UntraceableError: a rule stands in its way that cannot be followed.
            KernelError: the kernel's rules or addresses cannot be read.
        """
        family = query.packet.family
        outcome = self._board.outcomes().get(family)
        if outcome is None:
            raise NothingYetError(f"no rules of {family.value} were programmed yet; ask again")
        networks = local_networks(family)
        packet = query.packet.packet(networks)
        try:
            with _rules(query.which, outcome) as rules:
                paths = Tracer(rules, networks).paths(packet)
        except TraceError as error:
            raise UntraceableError(str(error)) from error
        lost = absences(paths, outcome.picture.services, outcome.context)
        shown = Trace(packet, paths[:_MOST_PATHS], lost[:_MOST_ENDPOINTS])
        return {
            **json_trace(shown),
            "pathCount": len(paths),
            "absentCount": len(lost),
            "words": trace_words(shown),
        }

    def _read_traffic(self) -> tuple[ServiceTraffic, ...]:
        picture = self._board.picture()
        return () if picture is None else self._reader.read(picture)

    def _read_differences(self) -> JsonObject:
        compared = self._compare()
        for _ in range(_TRIES - 1):
            if compared.is_still:
                break
            compared = self._compare()
        return {
            **json_differences(compared.differences[:_MOST_CHAINS]),
            "chains": len(compared.differences),
            "isStill": compared.is_still,
            "families": compared.families,
        }

    def _compare(self) -> _Comparison:
        outcomes = self._board.outcomes()
        desired = {family: outcome.report.desired for family, outcome in outcomes.items()}
        return _Comparison(
            list(kernel_differences(desired)),
            [family.value for family in outcomes],
            # After the kernel was read.
            is_still=self._board.is_still(outcomes),
        )


def _rules(which: Which, outcome: SyncOutcome) -> AbstractContextManager[RuleSet]:
    if which is Which.LIVE:
        return live_rule_set(outcome.family)
    return nullcontext(desired_rule_set(outcome.report.desired))


def _is_asked_for(one: ServiceTraffic, search: str) -> bool:
    return not search or any(search in text.lower() for text in _texts(one))


def _texts(one: ServiceTraffic) -> Iterator[str]:
    yield f"{one.name} {one.protocol} {one.family.value}"
    for address in one.addresses:
        yield address.text
    for endpoint in one.endpoints:
        yield endpoint.text


def _with_few_endpoints(services: Sequence[ServiceTraffic]) -> list[JsonObject]:
    cut = (replace(one, endpoints=one.endpoints[:_MOST_ENDPOINTS]) for one in services)
    return [
        {**json_service(fewer), "endpointCount": len(one.endpoints)}
        for fewer, one in zip(cut, services, strict=True)
    ]
