# SPDX-License-Identifier: Apache-2.0
"""Packets through the desired rules of the golden cases: the expected traces, to the byte.

``pytest tests/golden --update-golden`` writes them anew. Whether the kernel treats packets so is
tested in tests/kernel/test_trace.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from dataplane.packet_flags import decode_packet
from dataplane.settings import Settings, SourceSettings
from dataplane.trace import trace_desired
from rules.trace.jsonform import json_trace
from rules.trace.words import trace_words
from tests.address_plan import THIS_NODE
from tests.golden.loading import CASES, options_of

_TRACES: Final = Path(__file__).parent / "traces"


class _Question(NamedTuple):
    case: str
    source: str
    target: str


_QUESTIONS: Final = {
    "ingress-ip": _Question("document", "203.0.113.10", "198.51.100.0:80/tcp"),
    "hairpin": _Question("document", "10.244.1.2", "10.96.86.198:80/tcp"),
    "not-a-service": _Question("document", "10.244.1.2", "10.96.86.198:81/tcp"),
    "node-port-from-this-node": _Question("document", "192.0.2.11", "192.0.2.11:30956/tcp"),
    "source-ranges": _Question("source-ranges", "192.168.7.1", "198.51.100.1:80/tcp"),
    "affinity": _Question("session-affinity", "203.0.113.10:40000", "10.96.5.1:80/tcp"),
    "affinity-in-sets": _Question(
        "session-affinity-in-sets", "203.0.113.10:40000", "10.96.5.1:80/tcp"
    ),
    "zone-hints": _Question("topology", "10.244.1.9", "10.96.7.1:80"),
    "no-endpoints": _Question("no-endpoints", "10.244.1.2", "10.96.8.1:443/udp"),
    "no-local-endpoints": _Question("local-policies", "203.0.113.10", "198.51.100.42:80"),
    "terminating": _Question("terminating", "10.244.1.9", "10.96.6.1:80"),
    "ipv6": _Question("session-affinity", "2001:db8:c::10", "[fd00:10:96::5:1]:80"),
}
"""What is traced, by the name of the files that hold the answer."""
_FOR_PROGRAMS_TOO: Final = frozenset({"hairpin", "ipv6", "no-local-endpoints"})
"""Between them they have all that the JSON form can say."""


def _settings(case: str) -> Settings:
    options, _ = options_of(CASES / case)
    return Settings(
        source=SourceSettings(manifests=(CASES / case / "input.yaml",), node_name=THIS_NODE),
        options=options,
    )


@pytest.mark.parametrize("name", sorted(_QUESTIONS))
def test_packets_give_the_expected_traces(name: str, pytestconfig: pytest.Config) -> None:
    """In words, and some for programs too."""
    (case, source, target) = _QUESTIONS[name]
    traced = trace_desired(_settings(case), decode_packet(source, target, None))
    outputs = {f"{name}.txt": trace_words(traced)}
    if name in _FOR_PROGRAMS_TOO:
        outputs[f"{name}.json"] = json.dumps(json_trace(traced), indent=1) + "\n"
    if pytestconfig.getoption("--update-golden"):
        for file, text in outputs.items():
            (_TRACES / file).write_text(text)
    for file, text in outputs.items():
        assert (_TRACES / file).read_text() == text, f"{file} differs"


def test_each_file_is_asked_for() -> None:
    """A trace that nobody compares any more would be kept for ever."""
    assert {path.name for path in _TRACES.iterdir()} == {
        *(f"{name}.txt" for name in _QUESTIONS),
        *(f"{name}.json" for name in _FOR_PROGRAMS_TOO),
    }
