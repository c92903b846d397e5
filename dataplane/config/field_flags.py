# SPDX-License-Identifier: Apache-2.0
"""The flags that stand for a field of the configuration, under kube-proxy's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import click

from dataplane.config.addresses import with_port
from dataplane.config.defaults import (
    BIND_ADDRESS,
    DETECT_LOCAL_MODE,
    HEALTHZ_PORT,
    METRICS_PORT,
    MODE,
    with_defaults,
)
from dataplane.config.document import field_at, to_document
from dataplane.config.types import KubeProxyConfiguration

SWITCH: Final[Mapping[str, Any]] = {
    "is_flag": False,
    "flag_value": True,
    "metavar": "[=BOOLEAN]",
}
"""How click takes a switch that may stand alone or have a value, as in Go: --x or --x=false."""

_TRUTH: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFlag:
    """A flag; its value goes into the document as if it stood there."""

    name: str
    path: str
    """Of the field, such as ``iptables.syncPeriod``."""
    help: str
    kind: click.ParamType[Any] | Callable[[str], object] = str
    metavar: str = "TEXT"
    alias: str = ""
    is_list: bool = False
    """May be given more than once, each time with items separated by commas."""
    counts_with_file: bool = False
    """With ``--config`` kube-proxy overlooks all flags but these."""
    is_hidden: bool = False

    @property
    def parameter(self) -> str:
        """The name under which click hands over the value."""
        return self.name.removeprefix("--").replace("-", "_")

    def option(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """The flag for click; the value is None if the flag is not given."""
        return click.option(
            *filter(None, (self.alias, self.name)),
            self.parameter,
            type=self.kind,
            default=None,
            multiple=self.is_list,
            hidden=self.is_hidden,
            help=self.help + _default_note(self.path),
            **(SWITCH if self.kind is click.BOOL else {"metavar": self.metavar}),
        )

    def value(self, parsed: object) -> object:
        """The value in document form of what click hands over; None if the flag is not given."""
        if not self.is_list:
            return parsed
        texts = cast("tuple[str, ...]", parsed)
        items = [item.strip() for text in texts for item in text.split(",")]
        return [item for item in items if item] if texts else None


def _default_note(path: str) -> str:
    default = field_at(_DEFAULTS, path)
    if isinstance(default, bool):
        default = str(default).lower()
    return "" if default in ("", [], {}) else f"  [default: {default}]"


def _or(default: str) -> Callable[[str], str]:
    """For a flag whose empty text means its default, as with kube-proxy."""
    return lambda text: text or default


def _level(text: str) -> int:
    # Go's flags take -v=4 too; here that is -v with the value "=4".
    digits = text.removeprefix("=")
    if not (digits.isascii() and digits.isdigit()):
        raise click.BadParameter(f"{digits!r} is not a level such as 2")
    return int(digits)


def _feature_gates(text: str) -> Mapping[str, bool]:
    gates: dict[str, bool] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        gate, _, value = item.partition("=")
        if value.strip().lower() not in _TRUTH:
            raise click.BadParameter(f"{item!r} must be a gate and true or false, as Gate=true")
        gates[gate.strip()] = _TRUTH[value.strip().lower()]
    return gates


_DEFAULTS: Final = to_document(with_defaults(KubeProxyConfiguration()))

_CLIENT: Final = (
    FieldFlag(
        name="--kubeconfig",
        path="clientConnection.kubeconfig",
        metavar="PATH",
        help="File with the cluster's address and access.",
    ),
    FieldFlag(
        name="--hostname-override",
        path="hostnameOverride",
        counts_with_file=True,
        help="Name of this node.  [default: host name]",
    ),
)

_SERVERS: Final = (
    FieldFlag(
        name="--bind-address",
        path="bindAddress",
        kind=_or(BIND_ADDRESS),
        metavar="ADDRESS",
        help="Address of this node in place of the Node's; nothing listens on it.",
    ),
    FieldFlag(
        name="--healthz-bind-address",
        path="healthzBindAddress",
        kind=lambda text: with_port(text, HEALTHZ_PORT),
        metavar="ADDRESS:PORT",
        help="Where /healthz and /livez are served; nowhere if empty.",
    ),
    FieldFlag(
        name="--metrics-bind-address",
        path="metricsBindAddress",
        kind=lambda text: with_port(text, METRICS_PORT),
        metavar="ADDRESS:PORT",
        help="Where /metrics, /proxyMode and /configz are served; nowhere if empty.",
    ),
    FieldFlag(
        name="--bind-address-hard-fail",
        path="bindAddressHardFail",
        kind=click.BOOL,
        help="Stop if one of these addresses cannot be had.",
    ),
)

_LOCAL_PODS: Final = (
    FieldFlag(
        name="--cluster-cidr",
        path="clusterCIDR",
        metavar="CIDRS",
        help="Networks of all pods, one a family: what is not from there is masqueraded.",
    ),
    FieldFlag(
        name="--detect-local-mode",
        path="detectLocalMode",
        kind=_or(DETECT_LOCAL_MODE),
        metavar="MODE",
        help="How packets of local pods are told from others: ClusterCIDR, NodeCIDR,"
        " BridgeInterface or InterfaceNamePrefix.",
    ),
    FieldFlag(
        name="--pod-bridge-interface",
        path="detectLocal.bridgeInterface",
        metavar="NAME",
        help="Bridge of local pods, for BridgeInterface.",
    ),
    FieldFlag(
        name="--pod-interface-name-prefix",
        path="detectLocal.interfaceNamePrefix",
        metavar="NAME",
        help="Prefix of local pods' interfaces, for InterfaceNamePrefix.",
    ),
)

_RULES: Final = (
    FieldFlag(
        name="--proxy-mode", path="mode", kind=_or(MODE), metavar="MODE", help="Only iptables."
    ),
    FieldFlag(
        name="--masquerade-all",
        path="iptables.masqueradeAll",
        kind=click.BOOL,
        help="Masquerade all traffic to cluster IPs.",
    ),
    FieldFlag(
        name="--iptables-masquerade-bit",
        path="iptables.masqueradeBit",
        kind=int,
        metavar="BIT",
        help="Bit of the packet mark, 0 to 31, that asks for masquerading.",
    ),
    FieldFlag(
        name="--iptables-localhost-nodeports",
        path="iptables.localhostNodePorts",
        kind=click.BOOL,
        help="Serve IPv4 node ports on 127.0.0.0/8 too.",
    ),
    FieldFlag(
        name="--iptables-sync-period",
        path="iptables.syncPeriod",
        metavar="DURATION",
        help="How often the kernel's state is verified and repaired.",
    ),
    FieldFlag(
        name="--iptables-min-sync-period",
        path="iptables.minSyncPeriod",
        metavar="DURATION",
        help="Rest between two syncs.",
    ),
    FieldFlag(
        name="--nodeport-addresses",
        path="nodePortAddresses",
        is_list=True,
        metavar="CIDRS",
        help="Serve node ports on addresses of these networks only, or on the 'primary' one.",
    ),
)

_NODE: Final = (
    FieldFlag(
        name="--oom-score-adj",
        path="oomScoreAdj",
        kind=int,
        metavar="SCORE",
        help="How soon the kernel ends this process when memory is short: -1000 to 1000.",
    ),
    FieldFlag(
        name="--conntrack-max-per-core",
        path="conntrack.maxPerCore",
        kind=int,
        metavar="COUNT",
        help="Connections to track for each core; 0 leaves the kernel's limit as it is.",
    ),
    FieldFlag(
        name="--conntrack-min",
        path="conntrack.min",
        kind=int,
        metavar="COUNT",
        help="Connections to track at least.",
    ),
    FieldFlag(
        name="--conntrack-tcp-timeout-established",
        path="conntrack.tcpEstablishedTimeout",
        metavar="DURATION",
        help="How long an idle TCP connection is tracked; 0 leaves it as it is.",
    ),
    FieldFlag(
        name="--conntrack-tcp-timeout-close-wait",
        path="conntrack.tcpCloseWaitTimeout",
        metavar="DURATION",
        help="The same for TCP connections in CLOSE_WAIT.",
    ),
    FieldFlag(
        name="--conntrack-tcp-be-liberal",
        path="conntrack.tcpBeLiberal",
        kind=click.BOOL,
        help="Track TCP packets outside of the window too, and drop none as INVALID.",
    ),
    FieldFlag(
        name="--conntrack-udp-timeout",
        path="conntrack.udpTimeout",
        metavar="DURATION",
        help="How long an unanswered UDP flow is tracked; 0 leaves it as it is.",
    ),
    FieldFlag(
        name="--conntrack-udp-timeout-stream",
        path="conntrack.udpStreamTimeout",
        metavar="DURATION",
        help="The same for answered UDP flows.",
    ),
)

_LOGS: Final = (
    FieldFlag(
        name="--v",
        alias="-v",
        path="logging.verbosity",
        kind=_level,
        metavar="LEVEL",
        counts_with_file=True,
        help="Log level; 4 tells details, 6 those of libraries too.",
    ),
    FieldFlag(
        name="--logging-format",
        path="logging.format",
        metavar="FORMAT",
        counts_with_file=True,
        help="How logs are written: text or json.",
    ),
    FieldFlag(
        name="--feature-gates",
        path="featureGates",
        kind=_feature_gates,
        metavar="GATE=BOOLEAN,...",
        help="Accepted for kube-proxy's sake; gates without effect are warned about.",
    ),
)

_WITHOUT_EFFECT: Final = tuple(
    FieldFlag(name=name, path=path, kind=kind, is_hidden=True, help="Accepted without effect.")
    for name, path, kind in (
        ("--config-sync-period", "configSyncPeriod", str),
        ("--kube-api-content-type", "clientConnection.contentType", str),
        ("--kube-api-qps", "clientConnection.qps", float),
        ("--kube-api-burst", "clientConnection.burst", int),
        ("--profiling", "enableProfiling", click.BOOL),
        ("--show-hidden-metrics-for-version", "showHiddenMetricsForVersion", str),
        ("--log-flush-frequency", "logging.flushFrequency", str),
        ("--log-json-info-buffer-size", "logging.options.json.infoBufferSize", str),
        ("--log-json-split-stream", "logging.options.json.splitStream", click.BOOL),
        ("--log-text-info-buffer-size", "logging.options.text.infoBufferSize", str),
        ("--log-text-split-stream", "logging.options.text.splitStream", click.BOOL),
        ("--ipvs-sync-period", "ipvs.syncPeriod", str),
        ("--ipvs-min-sync-period", "ipvs.minSyncPeriod", str),
        ("--ipvs-scheduler", "ipvs.scheduler", str),
        ("--ipvs-strict-arp", "ipvs.strictARP", click.BOOL),
        ("--ipvs-tcp-timeout", "ipvs.tcpTimeout", str),
        ("--ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout", str),
        ("--ipvs-udp-timeout", "ipvs.udpTimeout", str),
    )
)

FIELD_FLAGS: Final = (
    *_CLIENT,
    *_SERVERS,
    *_LOCAL_PODS,
    *_RULES,
    *_NODE,
    *_LOGS,
    FieldFlag(
        name="--ipvs-exclude-cidrs",
        path="ipvs.excludeCIDRs",
        is_list=True,
        is_hidden=True,
        help="Accepted without effect.",
    ),
    *_WITHOUT_EFFECT,
)
