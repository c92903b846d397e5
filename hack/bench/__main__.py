# SPDX-License-Identifier: Apache-2.0
"""Measure, print a report and keep it. Exit code 0 whatever the verdicts, 1 if nothing compares."""

from __future__ import annotations

from pathlib import Path

import click

from bench.errors import BenchError
from bench.machine import describe_machine
from bench.objects import MAX_ENDPOINTS, MAX_SERVICES, Shape
from bench.report import as_json, markdown
from bench.signals import leave_on_sigterm
from bench.suite import Suite
from lab import LabError
from lab.machines import require_usable_machine

_MIN_SERVICES = 20
"""One of each kind."""


def parse_sizes(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    """Numbers of Services, separated by commas."""
    words = text.split(",")
    if not all(word.isdecimal() and _MIN_SERVICES <= int(word) <= MAX_SERVICES for word in words):
        raise click.BadParameter(
            f"{text!r} must be whole numbers from {_MIN_SERVICES} to {MAX_SERVICES}, "
            "separated by commas"
        )
    return tuple(map(int, words))


@click.command()
@click.option("--sizes", callback=parse_sizes, default="1000,5000", help="Numbers of Services.")
@click.option("--endpoints", type=click.IntRange(2, MAX_ENDPOINTS), default=10, help="A Service.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Turns of each side.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/bench"),
    help="Folder for bench.md and bench.json.",
)
def main(sizes: tuple[int, ...], endpoints: int, rounds: int, output: Path) -> None:
    """Measure the agent side by side with iptables-legacy-restore, in network namespaces."""
    leave_on_sigterm()
    try:
        require_usable_machine()
        machine = describe_machine()
        suite = Suite(rounds, lambda message: click.echo(f"bench: {message}", err=True))
        results = [suite.measure(Shape(size, endpoints)) for size in sizes]
    except (BenchError, LabError) as error:
        raise click.ClickException(str(error)) from error
    report = markdown(results, machine)
    output.mkdir(parents=True, exist_ok=True)
    (output / "bench.md").write_text(report)
    (output / "bench.json").write_text(as_json(results, machine))
    click.echo(report)


if __name__ == "__main__":
    main()
