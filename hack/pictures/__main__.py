# SPDX-License-Identifier: Apache-2.0
"""Writes all pictures."""

from __future__ import annotations

from pictures.album import FOLDER, pictures

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pictures():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)
