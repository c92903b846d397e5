# SPDX-License-Identifier: Apache-2.0
"""Pages of a list: when each is asked for, and what becomes of a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dataplane.sources.api import ApiServer, RelistNeededError
from dataplane.sources.listing import pages
from tests.apiserver import FakeApiServer
from tests.apiserver.objects import service

_SERVICES: Final = "/api/v1/services"


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    """An API server with more Services than two pages have."""
    with FakeApiServer() as server:
        for number in range(4100):
            server.put(service(f"s{number}"))
        yield server


def test_the_next_page_is_asked_for_ahead(server: FakeApiServer, tmp_path: Path) -> None:
    """While one is worked on the server prepares the next, and not more than that."""
    coming = pages(ApiServer(server.kubeconfig(tmp_path)), _SERVICES, {}, in_parts=True)
    next(coming)
    server.wait_for(lambda: len(server.requests) == 2)

    rest = [len(page.items or ()) for page in coming]

    assert rest == [2000, 100]
    assert len(server.requests) == 3


def test_a_page_that_is_gone_is_told_when_it_is_wanted(
    server: FakeApiServer, tmp_path: Path
) -> None:
    """Who is still at the page before it hears nothing of that."""
    server.faults.pages_expire = True
    coming = pages(ApiServer(server.kubeconfig(tmp_path)), _SERVICES, {}, in_parts=True)

    assert len(next(coming).items or ()) == 2000
    with pytest.raises(RelistNeededError):
        next(coming)


def test_a_list_that_is_left_is_not_read_on(server: FakeApiServer, tmp_path: Path) -> None:
    """At most one more page than was taken is asked for."""
    coming = pages(ApiServer(server.kubeconfig(tmp_path)), _SERVICES, {}, in_parts=True)
    next(coming)
    coming.close()

    server.wait_for(lambda: len(server.requests) == 2)
    assert next(coming, None) is None
