# SPDX-License-Identifier: Apache-2.0
"""The listing of the user's document, and how to hold a listing against it.

Columns that the document leaves out may be anything; what it shows must be there to the letter.
"""

from __future__ import annotations

import re
from typing import Final

REFERENCE: Final = """
Chain KUBE-SERVICES
  KUBE-SVC-LOLE4ISW44XBNF3G tcp  0.0.0.0/0  10.96.86.198  /* default/web cluster IP */ tcp dpt:80
  KUBE-FW-LOLE4ISW44XBNF3G  tcp  0.0.0.0/0  198.51.100.0  /* default/web loadbalancer IP */ tcp dpt:80
Chain KUBE-FW-LOLE4ISW44XBNF3G
  KUBE-MARK-MASQ            all  /* default/web loadbalancer IP */
  KUBE-SVC-LOLE4ISW44XBNF3G all  /* default/web loadbalancer IP */
  KUBE-MARK-DROP            all  /* default/web loadbalancer IP */
Chain KUBE-SVC-LOLE4ISW44XBNF3G
  KUBE-MARK-MASQ            tcp  !10.244.0.0/16  10.96.86.198 /* default/web cluster IP */ tcp dpt:80
  KUBE-SEP-MQ4W7Q2CV67URU6Q all  /* default/web -> 10.244.1.2:80 */ statistic mode random probability 0.50000000000
  KUBE-SEP-YUPMFTK3IHSQP2LT all  /* default/web -> 10.244.2.6:80 */
"""  # noqa: E501 - as it stands in rules.md

_ALL_COLUMNS: Final = 5
# iptables 1.8.9 prints numbers of protocols, as no version before and after it.
_PROTOCOLS: Final = {"0": "all", "6": "tcp"}
_LINE: Final = re.compile(
    r" +\S+ +\S+ (?P<target>\S+) +(?P<protocol>\S+) +-- +\S+ +\S+ +(?P<source>\S+) +"
    r"(?P<destination>\S+) *(?P<words>.*)"
)


def listed_chains(text: str) -> dict[str, list[str]]:
    """The lines of each chain that ``iptables -nvL`` lists, without headings."""
    chains = (block.splitlines() for block in text.strip().split("\n\n"))
    return {lines[0].split()[1]: lines[2:] for lines in chains}


def listed_words(line: str) -> str:
    """What stands behind the addresses in one line of a listing."""
    return _columns(line)[-1]


def reference_chains(reference: str = REFERENCE) -> dict[str, list[list[str]]]:
    """Chains of the document: target, protocol, the addresses if a line has them, and words."""
    blocks = (block.splitlines() for block in reference.strip().split("Chain ")[1:])
    return {chain: [_reference_columns(line) for line in lines] for chain, *lines in blocks}


def as_in_reference(lines: list[str], reference: list[list[str]]) -> list[list[str]]:
    """The columns of ``lines`` that the reference shows of its own; all of lines that it lacks."""
    counts = [len(shown) for shown in reference] + [_ALL_COLUMNS] * len(lines)
    return [
        _shown(*_columns(line), with_addresses=count == _ALL_COLUMNS)
        for line, count in zip(lines, counts, strict=False)
    ]


def _shown(
    target: str, protocol: str, source: str, destination: str, words: str, *, with_addresses: bool
) -> list[str]:
    addresses = [source, destination] if with_addresses else []
    return [target, protocol, *addresses, words]


def _columns(line: str) -> list[str]:
    found = _LINE.fullmatch(line)
    assert found, line
    protocol = _PROTOCOLS.get(found["protocol"], found["protocol"])
    return [
        found["target"],
        protocol,
        found["source"],
        found["destination"],
        found["words"].strip(),
    ]


def _reference_columns(line: str) -> list[str]:
    head, comment, words = line.partition("/*")
    return [*head.split(), comment + words]
