# SPDX-License-Identifier: Apache-2.0
"""A peer that fails does not end the comparison; our agent does."""

from __future__ import annotations

import pytest

from bench.cluster.contenders import Contender
from bench.cluster.left_out import LeftOut
from bench.errors import BenchError


def _fail() -> None:
    raise BenchError("peer: too late\nits log")


@pytest.fixture
def told() -> list[str]:
    """What was told and done, in order."""
    return []


@pytest.fixture
def left_out(told: list[str]) -> LeftOut:
    """Nobody is left out yet."""
    return LeftOut(told.append, lambda: told.append("put back"))


@pytest.mark.parametrize("peer", [Contender.KUBE_PROXY, Contender.KUBE_PROXY_NFTABLES])
def test_a_peer_that_fails(left_out: LeftOut, told: list[str], peer: Contender) -> None:
    """Its reason is kept, its last words are told, and the cluster is as it was."""
    with left_out.on_failure(peer):
        _fail()
    assert left_out.reasons == {peer: "peer: too late"}
    assert told == ["left out from here on: peer: too late\nits log", "put back"]


@pytest.mark.parametrize("ours", [Contender.DATAPLANE, Contender.DATAPLANE_CLASSIC])
def test_our_agent_that_fails(left_out: LeftOut, told: list[str], ours: Contender) -> None:
    """Without it there is nothing to compare."""
    with pytest.raises(BenchError, match="too late"), left_out.on_failure(ours):
        _fail()
    assert not left_out.reasons
    assert not told


def test_a_peer_that_does_its_work(left_out: LeftOut, told: list[str]) -> None:
    """Nothing is told or put back."""
    with left_out.on_failure(Contender.KUBE_PROXY):
        pass
    assert not left_out.reasons
    assert not told
