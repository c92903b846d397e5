# SPDX-License-Identifier: Apache-2.0
"""What is accepted without effect, told so that nobody waits for the effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from dataplane.config.defaults import with_defaults
from dataplane.config.document import field_at, to_document
from dataplane.config.types import KubeProxyConfiguration

_WITHOUT_EFFECT: Final = (
    "ipvs",
    "nftables",
    "winkernel",
    "windowsRunAsService",
    "portRange",
    "showHiddenMetricsForVersion",
    "enableProfiling",
    "clientConnection.acceptContentTypes",
    "clientConnection.contentType",
    "clientConnection.qps",
    "clientConnection.burst",
    "configSyncPeriod",
    "logging.flushFrequency",
    "logging.vmodule",
    "logging.options",
)
"""Of other modes and systems, of the Go client and logger, and of what this agent lacks."""

_BEHAVIOUR: Final[Mapping[str, bool]] = {
    "AllowServiceExternalIPs": True,
    "KubeProxyDrainingTerminatingNodes": True,
    "LoadBalancerIPMode": True,
    "MinimizeIPTablesRestore": True,
    "PreferSameTrafficDistribution": True,
    "ProxyTerminatingEndpoints": True,
    "ServiceTrafficDistribution": True,
    "TopologyAwareHints": True,
}
"""Gates of kube-proxy in iptables mode, and the setting that this agent always acts on."""

_NO_MATTER: Final = frozenset(
    {
        "AllAlpha",
        "AllBeta",
        "ComponentFlagz",
        "ComponentStatusz",
        "ContextualLogging",
        "KubeProxyNFTablesLocalhostNodePorts",
        "LoggingAlphaOptions",
        "LoggingBetaOptions",
        "MultiCIDRServiceAllocator",
        "NFTablesProxyMode",
        "WinDSR",
        "WinOverlay",
    }
)
"""Gates of kube-proxy that change nothing which this agent does."""


def remarks_on(configuration: KubeProxyConfiguration) -> Iterator[str]:
    """What an operator should know about ``configuration``, in which defaults are filled in."""
    given = to_document(configuration)
    defaults = to_document(with_defaults(KubeProxyConfiguration()))
    ignored = [
        path
        for root in _WITHOUT_EFFECT
        for path in _differences(root, field_at(given, root), field_at(defaults, root))
    ]
    if ignored:
        yield f"these fields have no effect on this agent: {', '.join(ignored)}"
    yield from _remarks_on_gates(configuration.feature_gates)


def _differences(path: str, given: object, default: object) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(default, dict):
        for name, value in given.items():
            yield from _differences(f"{path}.{name}", value, default[name])
    elif given != default:
        yield path


def _remarks_on_gates(gates: Mapping[str, bool]) -> Iterator[str]:
    for gate, value in sorted(gates.items()):
        setting = f"feature gate {gate}={str(value).lower()} has no effect"
        if gate in _BEHAVIOUR:
            if value is not _BEHAVIOUR[gate]:
                yield f"{setting}: this agent always acts as with {str(not value).lower()}"
        elif gate not in _NO_MATTER:
            yield f"{setting}: this agent does not know it"
