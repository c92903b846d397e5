# SPDX-License-Identifier: Apache-2.0
"""The documents of hack/docs."""

from __future__ import annotations

from typing import Final

from tests.docs.markdown import ROOT, Document, read

FOLDER: Final = ROOT / "hack" / "docs"
GUIDES: Final = tuple(sorted(str(path.relative_to(ROOT)) for path in FOLDER.rglob("*.md")))
"""Their names, from the top of the repository."""


def guide(name: str) -> Document:
    """One of them."""
    return read(name)
