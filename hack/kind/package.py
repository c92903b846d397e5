# SPDX-License-Identifier: Apache-2.0
"""What runs in pods, as one file that Python takes modules from."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

_HACK: Final = Path(__file__).parents[1]
_PARTS: Final = ("lab/*.py", "kind/__init__.py", "kind/inside.py", "kind/wire.py")


def package() -> bytes:
    """A zip file for ``PYTHONPATH``: then ``python3 -m kind.inside`` works anywhere."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in _PARTS:
            for file in sorted(_HACK.glob(part)):
                archive.write(file, file.relative_to(_HACK))
    return content.getvalue()
