# SPDX-License-Identifier: Apache-2.0
"""The options ``--sizes`` and ``--contenders``."""

from __future__ import annotations

import click
import pytest

from bench.cluster.__main__ import main, parse_contenders
from bench.cluster.contenders import Contender
from bench.cluster.session import Plan
from bench.cluster.sizes import DEFAULT, HUGE, PATHS, Scope, Size, parse_sizes
from bench.objects import Shape

_SIZES, _CONTENDERS = (
    next(option for option in main.params if option.name == name)
    for name in ("sizes", "contenders")
)


def test_sizes_are_measured_in_the_order_given() -> None:
    """Two of them have names, for what is measured there."""
    assert parse_sizes(click.Context(main), _SIZES, "1000x100,huge,paths") == (
        Size(Shape(1_000, 100)),
        Size(HUGE, Scope.CHANGES),
        Size(PATHS, Scope.PATHS),
    )


@pytest.mark.parametrize("text", ["", "1000", "1000x", "99x10", "1000x1", "1000x101", "large"])
def test_other_sizes_are_refused_with_the_reason(text: str) -> None:
    """What cannot be measured is refused, and quoted."""
    with pytest.raises(click.BadParameter, match="must be services x endpoints") as error:
        parse_sizes(click.Context(main), _SIZES, text)
    assert repr(text) in str(error.value)


def test_contenders_are_named_as_in_reports() -> None:
    """Who is measured, in which order."""
    chosen = parse_contenders(click.Context(main), _CONTENDERS, "kube-proxy,dataplane")
    assert chosen == (Contender.KUBE_PROXY, Contender.DATAPLANE)


def test_unknown_contenders_are_refused() -> None:
    """The error lists those that there are."""
    with pytest.raises(click.BadParameter, match="'cilium' is none of dataplane, "):
        parse_contenders(click.Context(main), _CONTENDERS, "dataplane,cilium")


def test_more_to_do_takes_longer() -> None:
    """The estimate grows with size, contenders and rounds."""
    small, large = parse_sizes(click.Context(main), _SIZES, "100x10,10000x10")
    once, thrice = Plan(1, 60.0), Plan(3, 60.0)
    assert small.seconds(2, once) < large.seconds(2, once)
    assert large.seconds(2, once) < large.seconds(4, once)
    assert large.seconds(2, once) < large.seconds(2, thrice)


def test_the_default_sizes_can_be_parsed() -> None:
    """They are all that the promises are about, but for the huge cluster."""
    sizes = parse_sizes(click.Context(main), _SIZES, DEFAULT)
    assert Size(PATHS, Scope.PATHS) in sizes
    assert HUGE not in [size.shape for size in sizes]
