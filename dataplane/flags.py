# SPDX-License-Identifier: Apache-2.0
"""The command line's flags, and the settings that they and the configuration file amount to."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from dataplane.config.checks import problems_of
from dataplane.config.defaults import with_defaults
from dataplane.config.document import with_fields
from dataplane.config.errors import ConfigError, Problem
from dataplane.config.field_flags import FIELD_FLAGS, SWITCH
from dataplane.config.file import read_usable_configuration
from dataplane.config.remarks import remarks_on
from dataplane.config.settings import settings_of
from dataplane.config.types import KubeProxyConfiguration
from dataplane.settings import AffinityChoice, ServerSettings, Settings
from rules.addresses import is_loopback
from rules.affinity import AffinityBackend
from rules.cluster_size import LargeClusterMode

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_FLAG_OF: Final = {flag.path: flag.name for flag in FIELD_FLAGS}
_COUNT_WITH_FILE: Final = frozenset(flag.path for flag in FIELD_FLAGS if flag.counts_with_file)

_OWN_FLAGS: Final[tuple[Decorator, ...]] = (
    click.option(
        "--manifests",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="PATH...",
        help="Files or folders of Services, EndpointSlices and Nodes, in place of a cluster.",
    ),
    click.argument("paths", nargs=-1, type=click.Path(path_type=Path)),
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        help="File with a KubeProxyConfiguration; flags for its fields do not count then, but for"
        " --hostname-override, --logging-format and -v.",
    ),
    click.option("--master", default="", help="URL of the API server; overrides the kubeconfig's."),
    click.option(
        "--strict-source-ranges",
        type=click.BOOL,
        default=False,
        help="Close a family that no range of loadBalancerSourceRanges belongs to."
        "  [default: false]",
        **SWITCH,
    ),
    click.option(
        "--large-cluster-mode",
        type=click.Choice([mode.value for mode in LargeClusterMode]),
        default=LargeClusterMode.AUTO.value,
        show_default=True,
        help="Whether to program smaller tables, without comments and without chains for endpoints"
        " of other nodes; auto does so from 1,001 endpoints on.",
    ),
    click.option(
        "--affinity-backend",
        type=click.Choice([choice.value for choice in AffinityChoice]),
        default=AffinityChoice.AUTO.value,
        show_default=True,
        help="Where sessionAffinity remembers clients: in sets of ipset or in lists of -m recent;"
        " auto takes sets where the kernel has them, and lists in a dry run.",
    ),
    click.option(
        "--metrics-per-service",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="Count on /metrics for each Service, for N of them at most and the others together;"
        " with 0 not at all.",
    ),
    click.option(
        "--status-page",
        type=click.BOOL,
        default=None,
        help="Serve the page /status besides the metrics."
        "  [default: true where that is a loopback address]",
        **SWITCH,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The values of the flags that :func:`settings_flags` adds."""

    manifests: tuple[Path, ...] = ()
    config_file: Path | None = None
    master: str = ""
    strict_source_ranges: bool = False
    large_cluster_mode: LargeClusterMode = LargeClusterMode.AUTO
    affinity: AffinityChoice = AffinityChoice.AUTO
    metrics_per_service: int = 0
    status_page: bool | None = None
    """None for where only this machine reaches it."""
    fields: Mapping[str, object]
    """Values in document form by the path of their field, such as ``iptables.syncPeriod``."""


def settings_flags(command: Command) -> Command:
    """Add the flags that :func:`decode_settings` takes; the command gets them as ``flags``."""

    @functools.wraps(command)
    def with_flags(**values: object) -> object:
        return command(flags=_take_flags(values), **values)

    decorated: Command = with_flags
    for option in reversed((*_OWN_FLAGS, *(flag.option() for flag in FIELD_FLAGS))):
        decorated = option(decorated)
    return decorated


def decode_settings(flags: Flags, *, tcp_be_liberal: bool = False) -> Settings:
    """The settings that ``flags``, and the file that they name, amount to.

    Raises:
        ConfigError: the file cannot be read, or a field in it cannot be used.
        click.UsageError: a flag's value cannot be used.
    """
    configuration, overlooked = _configuration(flags)
    remarks = list(remarks_on(configuration))
    if overlooked:
        names = ", ".join(_FLAG_OF[path] for path in overlooked)
        remarks.insert(0, f"these flags do not count beside --config, as with kube-proxy: {names}")
    settings = settings_of(
        configuration, host_name=socket.gethostname(), tcp_be_liberal=tcp_be_liberal
    )
    return replace(
        settings,
        source=replace(settings.source, manifests=flags.manifests, master=flags.master),
        options=replace(
            settings.options,
            strict_source_ranges=flags.strict_source_ranges,
            large_cluster_mode=flags.large_cluster_mode,
            affinity_backend=(
                AffinityBackend.IPSET
                if flags.affinity is AffinityChoice.IPSET
                else AffinityBackend.RECENT
            ),
        ),
        affinity=flags.affinity,
        servers=_servers(settings.servers, flags),
        configuration_file=flags.config_file,
        remarks=tuple(remarks),
    )


def _servers(servers: ServerSettings, flags: Flags) -> ServerSettings:
    has_status_page = flags.status_page
    if has_status_page is None:
        has_status_page = servers.metrics is not None and is_loopback(servers.metrics.host)
    return replace(
        servers,
        metrics_per_service=flags.metrics_per_service,
        has_status_page=has_status_page,
    )


def _configuration(flags: Flags) -> tuple[KubeProxyConfiguration, list[str]]:
    """The configuration in force, and the paths whose flags do not count."""
    if flags.config_file is None:
        base = with_defaults(KubeProxyConfiguration())
        return _with_flags(base, flags.fields), []
    base = read_usable_configuration(flags.config_file)
    counting = {path: flags.fields[path] for path in flags.fields if path in _COUNT_WITH_FILE}
    return _with_flags(base, counting), [path for path in flags.fields if path not in counting]


def _with_flags(
    base: KubeProxyConfiguration, fields: Mapping[str, object]
) -> KubeProxyConfiguration:
    try:
        configuration = with_fields(base, fields, "flags")
    except ConfigError as error:
        raise _usage_error(error.problems) from None
    if problems := tuple(problems_of(configuration)):
        raise _usage_error(problems)
    return configuration


def _usage_error(problems: tuple[Problem, ...]) -> click.UsageError:
    return click.UsageError(
        "; ".join(f"{_FLAG_OF.get(path, path)}: {reason}" for path, reason in problems)
    )


def _take_flags(values: dict[str, Any]) -> Flags:
    """Take the values of the flags above out of ``values``."""
    paths = values.pop("paths")
    manifests = values.pop("manifests")
    if paths and not manifests:
        raise click.UsageError(f"unexpected argument {paths[0]}; is --manifests missing?")
    return Flags(
        manifests=(*manifests, *paths),
        config_file=values.pop("config_file"),
        master=values.pop("master"),
        strict_source_ranges=values.pop("strict_source_ranges"),
        large_cluster_mode=LargeClusterMode(values.pop("large_cluster_mode")),
        affinity=AffinityChoice(values.pop("affinity_backend")),
        metrics_per_service=values.pop("metrics_per_service"),
        status_page=values.pop("status_page"),
        fields=dict(_take_fields(values)),
    )


def _take_fields(values: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for flag in FIELD_FLAGS:
        value = flag.value(values.pop(flag.parameter))
        if value is not None:
            yield flag.path, value
