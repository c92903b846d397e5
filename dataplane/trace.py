# SPDX-License-Identifier: Apache-2.0
"""What becomes of a packet: by the desired rules, or by those in the kernel."""

from __future__ import annotations

from typing import Final

from dataplane.dump import desired_tables
from dataplane.errors import DataplaneError
from dataplane.kernel.live import live_rule_set
from dataplane.local_networks import local_networks, networks_of
from dataplane.node_ports import context_of
from dataplane.packet_flags import PacketFlags
from dataplane.picture import take_picture
from dataplane.settings import Settings
from dataplane.state import Picture
from rules.context import FamilyContext
from rules.ir import Family
from rules.trace.absence import absences
from rules.trace.errors import Missing, TraceError, UnknownPacketError
from rules.trace.packet import Packet
from rules.trace.report import Trace
from rules.trace.rule_set import RuleSet, desired_rule_set
from rules.trace.tracer import Path, Tracer

_FLAGS: Final = {
    Missing.IN_INTERFACE: "--in-interface NAME",
    Missing.SOURCE_PORT: "--from IP:PORT",
}


class TraceFailedError(DataplaneError):
    """A packet cannot be followed to its end."""


def trace_desired(settings: Settings, flags: PacketFlags) -> Trace:
    """What becomes of the packet on a node that has the desired rules and no others.

    The addresses of the node are those of the Node object: a dry run has no interfaces.

    Raises:
        TraceFailedError: a rule asks for what was not said of the packet.
        SourceError: the source cannot be read.
    """
    picture = take_picture(settings.source)
    context = _context(settings, picture, flags.family)
    tables = desired_tables(settings, picture, (flags.family,))
    networks = networks_of(context.node_addresses, flags.family)
    packet = flags.packet(networks)
    paths = _follow(packet, desired_rule_set(tables[flags.family]), networks)
    return Trace(packet, paths, absences(paths, picture.services, context))


def trace_live(settings: Settings, flags: PacketFlags) -> Trace:
    """What becomes of the packet on this node as it is.

    Why endpoints are not reached is told if a source is named besides.

    Raises:
        TraceFailedError: a rule stands in the packet's way that cannot be followed.
        KernelUnusableError: the tables cannot be read.
        SourceError: the source cannot be read.
    """
    networks = local_networks(flags.family)
    packet = flags.packet(networks)
    with live_rule_set(flags.family) as rules:
        paths = _follow(packet, rules, networks)
    source = settings.source
    if not (source.manifests or source.kubeconfig or source.master):
        return Trace(packet, paths)
    picture = take_picture(source)
    context = _context(settings, picture, flags.family)
    return Trace(packet, paths, absences(paths, picture.services, context))


def _context(settings: Settings, picture: Picture, family: Family) -> FamilyContext:
    return context_of(settings, picture, family, lambda: picture.node.addresses)


def _follow(packet: Packet, rules: RuleSet, networks: tuple[str, ...]) -> tuple[Path, ...]:
    try:
        return Tracer(rules, networks).paths(packet)
    except UnknownPacketError as error:
        raise TraceFailedError(f"{error} with {_FLAGS[error.missing]}") from error
    except TraceError as error:
        raise TraceFailedError(str(error)) from error
