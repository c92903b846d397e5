# SPDX-License-Identifier: Apache-2.0
"""The option ``--sizes``."""

from __future__ import annotations

import click
import pytest

from bench.__main__ import main, parse_sizes
from bench.objects import MAX_SERVICES

_OPTION = next(option for option in main.params if option.name == "sizes")


def test_sizes_are_numbers_separated_by_commas() -> None:
    """The sizes are measured in the order given."""
    assert parse_sizes(click.Context(main), _OPTION, "5000,1000") == (5000, 1000)


@pytest.mark.parametrize("text", ["", "many", "1000,", "-5", "19", str(MAX_SERVICES + 1), "1e3"])
def test_other_sizes_are_refused_with_the_reason(text: str) -> None:
    """What is not a number of services that can be measured is refused, and quoted."""
    with pytest.raises(click.BadParameter, match="must be whole numbers") as error:
        parse_sizes(click.Context(main), _OPTION, text)
    assert repr(text) in str(error.value)
