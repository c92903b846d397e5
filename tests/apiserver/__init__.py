# SPDX-License-Identifier: Apache-2.0
"""A small API server for tests: real HTTP, lists in pages, watches, and faults at will."""

from tests.apiserver.server import FakeApiServer

__all__ = ["FakeApiServer"]
