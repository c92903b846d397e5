# SPDX-License-Identifier: Apache-2.0
"""All documents: what they refer to in this repository exists."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Final

import pytest

from tests.docs.guides import GUIDES
from tests.docs.markdown import ROOT, read

_MAIN: Final = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_DOCUMENTS: Final = (*_MAIN, *GUIDES)
_MAKE: Final = re.compile(r"(?:[$#] )?make((?: [a-z]+)+)")


def test_each_document_is_found_from_the_first() -> None:
    """By links from the README, over other documents, a reader comes to all of them."""
    found: set[str] = set()
    pending = ["README.md"]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            targets = [(ROOT / name).parent / link.partition("#")[0] for link in read(name).links()]
            pending += [
                os.path.relpath(target, ROOT) for target in targets if target.suffix == ".md"
            ]

    assert found >= set(_DOCUMENTS)


def _anchor(heading: str) -> str:
    """The name that a heading can be linked by."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    """Each link into the repository names a file or folder, and a heading of it."""
    for link in read(name).links():
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            prose = read(str(target)).prose
            headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
            assert anchor in map(_anchor, headings), link


@pytest.mark.parametrize("name", _MAIN)
def test_make_targets_exist(name: str) -> None:
    """Each make target that a document tells to use is one that ``make help`` lists."""
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    targets = set(re.findall(r"^  make ([a-z]+)", listed, flags=re.MULTILINE))
    document = read(name)
    blocks = [*document.blocks("console"), *document.blocks("sh")]
    code = [*document.code(), *(line for block in blocks for line in block.splitlines())]
    used = {
        target for text in code if (make := _MAKE.fullmatch(text)) for target in make[1].split()
    }

    assert used
    assert used <= targets
