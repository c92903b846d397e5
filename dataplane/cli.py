# SPDX-License-Identifier: Apache-2.0
"""The command ``dataplane``: run, dump, diff, trace, services, top, cleanup."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from dataplane.config.document import write_configuration
from dataplane.errors import DataplaneError, KernelUnusableError
from dataplane.flags import Flags, decode_settings, settings_flags
from dataplane.instance_lock import instance_lock
from dataplane.logs import configure_logs
from dataplane.memory import many_values
from dataplane.settings import PROC_SYS, Settings
from rules.ir import Family

_log = logging.getLogger(__name__)

_lock_file_option: Final = click.option(
    "--lock-file",
    type=click.Path(path_type=Path),
    default="/run/kube-dataplane.lock",
    show_default=True,
    help="Held while an agent runs on this node: keeps out a second one, and clean-up.",
)
_SAME, _DIFFERENT, _CANNOT_TELL = range(3)
"""How the command diff ends."""
_FAMILIES: Final = {
    Family.IPV4.value: (Family.IPV4,),
    Family.IPV6.value: (Family.IPV6,),
    "all": tuple(Family),
}
_families_option: Final = click.option(
    "--family",
    type=click.Choice(list(_FAMILIES)),
    default="all",
    show_default=True,
    help="Which service ports to show.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": False})
@click.version_option(package_name="kube-dataplane")
def cli() -> None:
    """Program a node's iptables rules for Kubernetes Services, as kube-proxy would."""


@cli.command()
@settings_flags
@_lock_file_option
@click.option("--cleanup", "is_cleanup", is_flag=True, help="The same as the command cleanup.")
@click.option(
    "--init-only",
    "is_init_only",
    is_flag=True,
    help="Make the kernel settings, such as those of conntrack, then exit.",
)
@click.option(
    "--proc-sys",
    type=click.Path(path_type=Path),
    default=PROC_SYS,
    show_default=True,
    help="Where to make kernel settings; a pod's own /proc/sys is read-only.",
)
@click.option(
    "--write-config-to",
    type=click.Path(path_type=Path),
    help="Write the configuration in force, defaults filled in, to this file, then exit.",
)
def run(
    flags: Flags,
    lock_file: Path,
    proc_sys: Path,
    write_config_to: Path | None,
    *,
    is_cleanup: bool,
    is_init_only: bool,
) -> None:
    """Keep this node's rules up to date until SIGTERM; they stay in place then. Needs root."""
    with many_values():
        from dataplane.run import run_agent
        from dataplane.sysctls import is_tcp_be_liberal

    settings = _prepare(flags, tcp_be_liberal=is_tcp_be_liberal(proc_sys))
    settings = replace(settings, proc_sys=proc_sys)
    if write_config_to:
        write_configuration(settings.configuration, write_config_to)
    elif is_cleanup:
        _clean_up(settings, lock_file)
    elif is_init_only:
        _initialise(settings)
    else:
        run_agent(settings, lock_file)


@cli.command()
@settings_flags
@click.option(
    "--output",
    type=click.Choice(["save", "list", "json"]),
    default="save",
    show_default=True,
    help="As iptables-save, as iptables -nvL, or for programs.",
)
@click.option(
    "--family",
    type=click.Choice(list(_FAMILIES)),
    default=Family.IPV4.value,
    show_default=True,
    help="Whose rules to print; iptables-restore takes one family at a time.",
)
def dump(flags: Flags, output: str, family: str) -> None:
    """Print the rules that run would program; changes nothing and needs no root.

    Give the output of save to iptables-restore with --test, or with --noflush: without either it
    empties the tables first, and the rules of all others are gone.
    """
    from dataplane.dump import Output, desired_tables, print_tables
    from dataplane.picture import take_picture

    settings = _prepare(flags)
    picture = take_picture(settings.source)
    tables = desired_tables(settings, picture, _FAMILIES[family])
    click.echo(print_tables(tables, Output(output)), nl=False)


@cli.command()
@settings_flags
@click.option(
    "--output",
    type=click.Choice(["diff", "json"]),
    default="diff",
    show_default=True,
    help="As a unified diff by chain, or for programs.",
)
@click.option(
    "--family",
    type=click.Choice(list(_FAMILIES)),
    default="all",
    show_default=True,
    help="Whose rules to compare.",
)
def diff(flags: Flags, output: str, family: str) -> None:
    """Compare the desired rules with those in the kernel; changes nothing. Needs root.

    Ends with 0 if they are the same, with 1 if they differ, and with 2 if that cannot be told.
    """
    try:
        is_same = _compare(flags, output, family)
    except DataplaneError as error:
        _tell(error)
        sys.exit(_CANNOT_TELL)
    sys.exit(_SAME if is_same else _DIFFERENT)


@cli.command()
@settings_flags
@click.option("--from", "source", required=True, metavar="IP[:PORT]", help="Who sends the packet.")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="IP:PORT[/PROTOCOL]",
    help="Whom it is for; the protocol is tcp, udp or sctp, tcp if none is named.",
)
@click.option(
    "--in-interface",
    help="By which the packet arrives; without it, one from an address of this node is taken to"
    " come from a process here.",
)
@click.option(
    "--rules",
    "which",
    type=click.Choice(["desired", "live"]),
    default="desired",
    show_default=True,
    help="Follow it through the rules that run would program, or through this node's own.",
)
@click.option(
    "--output",
    type=click.Choice(["words", "json"]),
    default="words",
    show_default=True,
    help="For people, or for programs.",
)
def trace(
    flags: Flags, source: str, target: str, in_interface: str | None, which: str, output: str
) -> None:
    """Follow the first packet of a connection through the rules; changes nothing.

    Tells the endpoints it can reach with the odds of each, whether it is masqueraded, rejected or
    dropped, and the rules it meets. Needs root for live rules only.
    """
    from dataplane.packet_flags import decode_packet
    from dataplane.trace import trace_desired, trace_live
    from rules.trace.jsonform import json_trace
    from rules.trace.words import trace_words

    packet = decode_packet(source, target, in_interface)
    settings = _prepare(flags)
    follow = trace_live if which == "live" else trace_desired
    traced = follow(settings, packet)
    if output == "json":
        click.echo(json.dumps(json_trace(traced), indent=2))
    else:
        click.echo(trace_words(traced), nl=False)


@cli.command()
@settings_flags
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for programs.",
)
@_families_option
@click.option(
    "--endpoints",
    "with_endpoints",
    is_flag=True,
    help="Name the endpoints of each service port in the table; JSON always does.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Seconds for which rates are measured; 0 for no rates.",
)
def services(
    flags: Flags, output: str, family: str, interval: float, *, with_endpoints: bool
) -> None:
    """Show the service ports of this node and what the kernel has counted for them. Needs root.

    Counts new connections, for UDP what conntrack takes for one, since the rules stand.
    """
    from dataplane.traffic.services import read_services
    from rules.traffic.jsonform import json_services
    from rules.traffic.words import services_table

    settings = _prepare(flags)
    found = read_services(settings, _usable(family, "show"), interval)
    if output == "json":
        click.echo(json.dumps(json_services(found), indent=2))
    else:
        click.echo("\n".join(services_table(found, with_endpoints=with_endpoints)))


@cli.command()
@settings_flags
@_families_option
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Seconds between two readings.",
)
def top(flags: Flags, family: str, interval: float) -> None:
    """Show the service ports of this node, the busiest first, until q is pressed. Needs root."""
    from dataplane.traffic.top import show_top

    settings = _prepare(flags)
    show_top(settings, _usable(family, "show"), interval)


@cli.command()
@settings_flags
@_lock_file_option
def cleanup(flags: Flags, lock_file: Path) -> None:
    """Remove all rules and chains that the agent ever adds, and nothing else. Needs root.

    Refused while an agent runs on this node: it would put everything back.
    """
    _clean_up(_prepare(flags), lock_file)


def main() -> None:
    """Run the command; what went wrong is one line on stderr, and exit code 1."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except DataplaneError as error:
        _tell(error)
        sys.exit(1)


def _tell(error: DataplaneError) -> None:
    click.echo(f"dataplane: {error}", err=True)


def _prepare(flags: Flags, *, tcp_be_liberal: bool = False) -> Settings:
    settings = decode_settings(flags, tcp_be_liberal=tcp_be_liberal)
    configure_logs(settings.logs)
    for remark in settings.remarks:
        _log.warning("%s", remark)
    return settings


def _compare(flags: Flags, output: str, family: str) -> bool:
    """Print how the kernel's rules differ from the desired ones; returns whether they do not."""
    from dataplane.affinity import with_affinity_of_kernel
    from dataplane.diff import differences
    from dataplane.picture import take_picture
    from dataplane.sysctls import is_tcp_be_liberal
    from rules.comparison import json_differences, unified_text

    settings = _prepare(flags, tcp_be_liberal=is_tcp_be_liberal(PROC_SYS))
    # First of all: without privileges there is no need to ask a cluster.
    families = _usable(family, "compare")
    settings = with_affinity_of_kernel(settings, families)
    found = differences(settings, take_picture(settings.source), families)
    if output == "json":
        click.echo(json.dumps(json_differences(found), indent=2))
    else:
        click.echo(unified_text(found), nl=False)
    return not found


def _usable(family: str, verb: str) -> tuple[Family, ...]:
    """The families that are asked for and that this machine has."""
    from dataplane.kernel.libiptc import usable_families

    usable = usable_families()
    families = tuple(one for one in _FAMILIES[family] if one in usable)
    if not families:
        raise KernelUnusableError(f"this machine has no {family} tables; {verb} another family")
    return families


def _clean_up(settings: Settings, lock_file: Path) -> None:
    from dataplane.cleanup import remove_all_rules
    from dataplane.kernel.libiptc import usable_families

    # First of all: without privileges the lock file cannot be had either, but that is no help.
    families = usable_families()
    with instance_lock(lock_file):
        remove_all_rules(
            settings.options, families, lock_timeout_seconds=settings.sync.lock_timeout_seconds
        )


def _initialise(settings: Settings) -> None:
    from dataplane.sysctls import enable_route_localnet, set_conntrack

    set_conntrack(settings.conntrack, os.cpu_count() or 1, settings.proc_sys)
    if settings.options.localhost_node_ports:
        # Before the rule that guards 127.0.0.0/8, unlike run: who asks for this ahead of an agent
        # without the privilege gets it in no other way, and kube-proxy does the same.
        enable_route_localnet(settings.proc_sys)
