# SPDX-License-Identifier: Apache-2.0
"""Measure, print a report and keep it. Exit code 0 whatever the verdicts, 1 if nothing compares."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from bench.cluster.contenders import Contender
from bench.cluster.costs import SizeResult
from bench.cluster.limits import judge
from bench.cluster.plots import draw
from bench.cluster.report import as_json, markdown
from bench.cluster.session import Plan
from bench.cluster.sizes import DEFAULT, Size, parse_sizes
from bench.cluster.suite import Suite
from bench.cluster.tracing import tracing
from bench.errors import BenchError
from bench.machine import describe_machine
from bench.signals import leave_on_sigterm
from kube.programs import ToolsMissingError, programs_folder
from kube.proxies import INSTALLED
from lab import LabError
from lab.machines import require_usable_machine


def parse_contenders(
    _context: click.Context, _option: click.Parameter, text: str
) -> Sequence[Contender]:
    """Names of contenders, separated by commas."""
    known = {contender.value: contender for contender in Contender}
    words = text.split(",")
    unknown = [word for word in words if word not in known]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(known)}")
    return tuple(known[word] for word in words)


@click.command()
@click.option(
    "--sizes",
    callback=parse_sizes,
    default=DEFAULT,
    show_default=True,
    help="Services x endpoints; huge is 3600x59 and a change only, paths 30000 and connections.",
)
@click.option(
    "--contenders",
    callback=parse_contenders,
    default=",".join(contender.value for contender in Contender),
    show_default=True,
    help="Who is measured.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, help="Starts, bursts, restarts.")
@click.option("--idle-seconds", type=click.IntRange(min=5), default=60, help="Of doing nothing.")
@click.option(
    "--agent",
    default=INSTALLED[0],
    help="The dataplane command to measure; by default the one beside this Python.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/bench"),
    help="Folder for cluster.md, cluster.json and cluster.svg.",
)
def main(
    sizes: Sequence[Size],
    contenders: Sequence[Contender],
    rounds: int,
    idle_seconds: int,
    agent: str,
    output: Path,
) -> None:
    """Measure the agent side by side with kube-proxy, from the same real API server."""
    leave_on_sigterm()
    plan = Plan(rounds, float(idle_seconds))
    results: dict[Size, SizeResult] = {}
    report = ""
    try:
        require_usable_machine()
        _require_programs(contenders)
        programs = programs_folder()
        machine = describe_machine()
        seconds = sum(size.seconds(len(contenders), plan) for size in sizes)
        _tell(f"this takes about {seconds / 60:.0f} minutes")
        with tracing() as trace:
            if trace is None:
                _tell("no tracefs here: table replacements and the lock are not measured")
            suite = Suite(contenders, plan, programs, trace, _tell, (agent,))
            for size in sizes:
                for measured in suite.measure(size):
                    results[size] = measured
                    # At once, so that what is known is kept if what comes later fails.
                    report = _write(tuple(results.values()), machine, output)
    except (BenchError, LabError, ToolsMissingError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(report)


def _require_programs(contenders: Sequence[Contender]) -> None:
    if Contender.KUBE_PROXY_NFTABLES in contenders and shutil.which("nft") is None:
        raise BenchError(
            f"{Contender.KUBE_PROXY_NFTABLES.value} needs nft: install the package nftables, or "
            "name others (--contenders)"
        )


def _write(results: Sequence[SizeResult], machine: dict[str, str], output: Path) -> str:
    judgements = judge(results)
    report = markdown(results, judgements, machine)
    output.mkdir(parents=True, exist_ok=True)
    (output / "cluster.md").write_text(report)
    (output / "cluster.json").write_text(as_json(results, judgements, machine))
    draw(results, output / "cluster.svg")
    return report


def _tell(message: str) -> None:
    click.echo(f"bench: {message}", err=True)


if __name__ == "__main__":
    main()
