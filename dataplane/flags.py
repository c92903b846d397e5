# SPDX-License-Identifier: Apache-2.0
"""The command line's flags, under kube-proxy's names, decoded into settings."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, TypedDict, TypeVar, Unpack

import click
import durationpy

from dataplane.settings import PRIMARY, Settings, SourceSettings, SyncSettings
from rules.addresses import family_of
from rules.context import DetectLocalMode, ProxyOptions

Command = TypeVar("Command", bound=Callable[..., Any])

_LONGEST_INTERFACE_NAME: Final = 15


class Duration(click.ParamType[float]):
    """A duration as Go prints it (``30s``, ``1m30s``), as seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds, not negative."""
        if isinstance(value, float):
            return value
        try:
            seconds = float(durationpy.from_str(str(value)).total_seconds())
        except durationpy.DurationError:
            self.fail(f"{value!r} is not a duration such as 30s or 1m30s", param, ctx)
        if seconds < 0:
            self.fail(f"{value!r} is negative", param, ctx)
        return seconds


class NetworkList(click.ParamType[tuple[str, ...]]):
    """Networks in CIDR form, separated by commas."""

    name = "cidrs"

    def __init__(self, *, keyword: str = "") -> None:
        self._keyword = keyword

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The networks in canonical form; or the keyword alone, where one is allowed."""
        if isinstance(value, tuple):
            return value
        texts = [text.strip() for text in str(value).split(",") if text.strip()]
        if self._keyword and texts == [self._keyword]:
            return (self._keyword,)
        try:
            return tuple(str(ip_network(text, strict=False)) for text in texts)
        except ValueError as error:
            self.fail(f"{error}; use networks such as 10.244.0.0/16,fd00::/64", param, ctx)


class InterfaceName(click.ParamType[str]):
    """The name of a network interface, or its first part."""

    name = "name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The name; the kernel keeps 15 bytes of it."""
        name = str(value)
        if len(name.encode()) > _LONGEST_INTERFACE_NAME:
            self.fail(f"{name!r} is longer than {_LONGEST_INTERFACE_NAME} bytes", param, ctx)
        return name


def _switch(name: str, *, default: bool, help_text: str) -> Callable[[Command], Command]:
    """A flag that may stand alone or be given a value, as Go's flags: ``--x`` or ``--x=false``."""
    return click.option(
        name,
        type=bool,
        is_flag=False,
        flag_value=True,
        default=default,
        show_default=True,
        metavar="[=BOOLEAN]",
        help=help_text,
    )


_FLAGS: Final = (
    click.option(
        "--manifests",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="PATH...",
        help="Files or folders of Services, EndpointSlices and Nodes, in place of a cluster.",
    ),
    click.argument("paths", nargs=-1, type=click.Path(path_type=Path)),
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        help="File with the cluster's address and access.",
    ),
    click.option("--master", default="", help="URL of the API server; overrides the kubeconfig's."),
    click.option(
        "--hostname-override", default="", help="Name of this node.  [default: host name]"
    ),
    click.option(
        "--cluster-cidr",
        "cluster_cidrs",
        type=NetworkList(),
        default=(),
        help="Networks of all pods, one a family: what is not from there is masqueraded.",
    ),
    click.option(
        "--detect-local-mode",
        type=click.Choice([mode.value for mode in DetectLocalMode]),
        default=DetectLocalMode.CLUSTER_CIDR.value,
        show_default=True,
        help="How packets of local pods are told from others.",
    ),
    click.option(
        "--pod-bridge-interface",
        type=InterfaceName(),
        default="",
        help="Bridge of local pods, for BridgeInterface.",
    ),
    click.option(
        "--pod-interface-name-prefix",
        type=InterfaceName(),
        default="",
        help="Prefix of local pods' interfaces, for InterfaceNamePrefix.",
    ),
    _switch("--masquerade-all", default=False, help_text="Masquerade all traffic to cluster IPs."),
    click.option(
        "--iptables-masquerade-bit",
        type=click.IntRange(0, 31),
        default=14,
        show_default=True,
        help="Bit of the packet mark that asks for masquerading.",
    ),
    _switch(
        "--iptables-localhost-nodeports",
        default=True,
        help_text="Serve IPv4 node ports on 127.0.0.0/8 too.",
    ),
    click.option(
        "--nodeport-addresses",
        type=NetworkList(keyword=PRIMARY),
        default=(),
        help="Serve node ports on addresses of these networks only, or on the 'primary' one.",
    ),
    _switch(
        "--strict-source-ranges",
        default=False,
        help_text="Close a family that no range of loadBalancerSourceRanges belongs to.",
    ),
    click.option(
        "--proxy-mode",
        type=click.Choice(["", "iptables"]),
        default="iptables",
        help="Only iptables.",
    ),
    click.option(
        "--iptables-min-sync-period",
        type=Duration(),
        default=1.0,
        help="Rest between two syncs.  [default: 1s]",
    ),
    click.option(
        "--iptables-sync-period",
        type=Duration(),
        default=30.0,
        help="How often the kernel's state is verified and repaired.  [default: 30s]",
    ),
    click.option("-v", "--v", "verbosity", type=int, default=0, help="Log level; 4 tells details."),
)


class FlagValues(TypedDict):
    """The values of the flags above, as click hands them over."""

    manifests: tuple[Path, ...]
    paths: tuple[Path, ...]
    kubeconfig: Path | None
    master: str
    hostname_override: str
    cluster_cidrs: tuple[str, ...]
    detect_local_mode: str
    pod_bridge_interface: str
    pod_interface_name_prefix: str
    masquerade_all: bool
    iptables_masquerade_bit: int
    iptables_localhost_nodeports: bool
    nodeport_addresses: tuple[str, ...]
    strict_source_ranges: bool
    proxy_mode: str
    iptables_min_sync_period: float
    iptables_sync_period: float
    verbosity: int


def settings_flags(command: Command) -> Command:
    """Add the flags that :func:`decode_settings` takes."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def decode_settings(*, tcp_be_liberal: bool = False, **flags: Unpack[FlagValues]) -> Settings:
    """Settings from the flags' values.

    Raises:
        click.UsageError: flags that contradict or miss each other.
    """
    if flags["paths"] and not flags["manifests"]:
        raise click.UsageError(f"unexpected argument {flags['paths'][0]}; is --manifests missing?")
    masquerade_bit = flags["iptables_masquerade_bit"]
    options = ProxyOptions(
        masquerade_bit=masquerade_bit,
        masquerade_all=flags["masquerade_all"],
        detect_local_mode=DetectLocalMode(flags["detect_local_mode"]),
        cluster_cidrs=flags["cluster_cidrs"],
        bridge_interface=flags["pod_bridge_interface"],
        interface_name_prefix=flags["pod_interface_name_prefix"],
        localhost_node_ports=flags["iptables_localhost_nodeports"],
        strict_source_ranges=flags["strict_source_ranges"],
        drop_invalid=not tcp_be_liberal,
    )
    if masquerade_bit == options.drop_bit:
        raise click.UsageError(
            f"--iptables-masquerade-bit {masquerade_bit} is the bit that marks packets for "
            "dropping; use another"
        )
    _check_detector(options)
    return Settings(
        source=SourceSettings(
            manifests=(*flags["manifests"], *flags["paths"]),
            kubeconfig=flags["kubeconfig"],
            master=flags["master"],
            node_name=(flags["hostname_override"] or socket.gethostname()).strip().lower(),
        ),
        options=options,
        node_port_addresses=flags["nodeport_addresses"],
        sync=SyncSettings(
            min_sync_period_seconds=flags["iptables_min_sync_period"],
            sync_period_seconds=_positive(flags["iptables_sync_period"], "--iptables-sync-period"),
        ),
    )


def _positive(seconds: float, flag: str) -> float:
    if not seconds:
        raise click.UsageError(f"{flag} must be longer than 0s")
    return seconds


def _check_detector(options: ProxyOptions) -> None:
    families = [family_of(network) for network in options.cluster_cidrs]
    if len(set(families)) != len(families):
        raise click.UsageError("--cluster-cidr takes at most one network of each family")
    mode = options.detect_local_mode
    if mode is DetectLocalMode.BRIDGE_INTERFACE and not options.bridge_interface:
        raise click.UsageError("--detect-local-mode BridgeInterface needs --pod-bridge-interface")
    if mode is DetectLocalMode.INTERFACE_NAME_PREFIX and not options.interface_name_prefix:
        raise click.UsageError(
            "--detect-local-mode InterfaceNamePrefix needs --pod-interface-name-prefix"
        )
