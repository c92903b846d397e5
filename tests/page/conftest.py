# SPDX-License-Identifier: Apache-2.0
"""A busy node for all tests, and a browser on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.command.site import Site
from tests.page.browser import Browser, browser
from tests.page.stand import URL, busy_node


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The node, which has services with connections."""
    with busy_node(tmp_path_factory.mktemp("page")) as site:
        yield site


@pytest.fixture(scope="module")
def chromium(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser on the node; the tests live there, too, to reach it."""
    with site.host.entered(), browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Browser:
    """The status page, just opened, with services in it."""
    chromium.open(URL)
    chromium.find("#services-list details")
    chromium.complaints()
    return chromium
