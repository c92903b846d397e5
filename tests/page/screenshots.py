# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the status page: ``PYTHONPATH=hack python -m tests.page.screenshots``.

Takes two minutes, so that there are curves to see.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lab import wait_until
from tests.page.browser import Browser, browser
from tests.page.stand import URL, busy_node

_FOLDER: Final = Path(__file__).parents[2] / "hack/docs/screenshots"
_WEB: Final = "[data-service='default/web:http']"
_LONGEST_WAIT_SECONDS: Final = 240.0
_HEIGHTS: Final = {"services": 1150, "way-phone": 1000}


def _have_curves(page: Browser) -> bool:
    points = page.run("document.querySelector('#overview .curve')?.getAttribute('points') ?? ''")
    return len(points.split()) >= 55


def _take(page: Browser) -> None:
    page.open(URL)
    page.click(f"{_WEB} summary")
    wait_until("there are curves", lambda: _have_curves(page), seconds=_LONGEST_WAIT_SECONDS)
    page.as_desktop(_HEIGHTS["services"])
    page.run("window.scrollTo(0, 0)")
    page.photograph(_FOLDER / "services.png")
    page.in_the_dark()
    page.as_phone(_HEIGHTS["way-phone"])
    page.write("#trace-from", "203.0.113.10")
    page.write("#trace-to", "198.51.100.0:80/tcp")
    page.click("#trace-form button")
    page.find(".way")
    page.run("document.querySelector('.way').scrollIntoView()")
    page.photograph(_FOLDER / "way-phone.png")


def _main() -> None:
    _FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, busy_node(Path(folder)) as site:
        profile = Path(folder) / "profile"
        with site.host.entered(), browser(profile) as page:
            _take(page)


if __name__ == "__main__":
    _main()
