# SPDX-License-Identifier: Apache-2.0
"""Chain names: the fixed ones, the hashed ones, and which of them are ours.

A process without memory must recognise what an older one left in the kernel, so a chain is ours by
its name alone. The names and the hash are kube-proxy's, which makes a node's rules readable to
everybody who knows kube-proxy's, and lets either take over from the other.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

SERVICES: Final = "KUBE-SERVICES"
EXTERNAL_SERVICES: Final = "KUBE-EXTERNAL-SERVICES"
NODE_PORTS: Final = "KUBE-NODEPORTS"
POSTROUTING: Final = "KUBE-POSTROUTING"
MARK_MASQ: Final = "KUBE-MARK-MASQ"
MARK_DROP: Final = "KUBE-MARK-DROP"
FORWARD: Final = "KUBE-FORWARD"
PROXY_FIREWALL: Final = "KUBE-PROXY-FIREWALL"
KUBELET_FIREWALL: Final = "KUBE-FIREWALL"
"""Shared with kubelet: its rules are ensured, never removed, and the chain is never deleted."""

CLUSTER_POLICY_PREFIX: Final = "KUBE-SVC-"
LOCAL_POLICY_PREFIX: Final = "KUBE-SVL-"
EXTERNAL_PREFIX: Final = "KUBE-EXT-"
LOAD_BALANCER_PREFIX: Final = "KUBE-FW-"
ENDPOINT_PREFIX: Final = "KUBE-SEP-"
SERVICE_PREFIXES: Final = (
    CLUSTER_POLICY_PREFIX,
    LOCAL_POLICY_PREFIX,
    EXTERNAL_PREFIX,
    LOAD_BALANCER_PREFIX,
    ENDPOINT_PREFIX,
)
"""Chains of nat that kube-proxy deletes when it has no use for them. All of ours that come and go
begin so: a chain that it leaves would hold on to others, and it could not delete those."""

NAT_DISPATCH_PREFIX: Final = f"{CLUSTER_POLICY_PREFIX}IP-"
NODE_PORT_DISPATCH_PREFIX: Final = f"{CLUSTER_POLICY_PREFIX}NP-"
INTERNAL_REFUSAL_PREFIX: Final = "KUBE-NOEP-"
EXTERNAL_REFUSAL_PREFIX: Final = "KUBE-NOEX-"
NODE_PORT_REFUSAL_PREFIX: Final = "KUBE-NOPORT-"
HEALTH_CHECK_PREFIX: Final = "KUBE-HEALTH-"
DISPATCH_ROOTS: Final = {
    NAT_DISPATCH_PREFIX: SERVICES,
    NODE_PORT_DISPATCH_PREFIX: NODE_PORTS,
    INTERNAL_REFUSAL_PREFIX: SERVICES,
    EXTERNAL_REFUSAL_PREFIX: EXTERNAL_SERVICES,
    NODE_PORT_REFUSAL_PREFIX: EXTERNAL_SERVICES,
    HEALTH_CHECK_PREFIX: NODE_PORTS,
}
"""By the beginning of their names: chains for a range of VIPs or node ports, and the chain that
Services share whose rules stand in them. The first two are nat's, the others filter's."""
DISPATCH_PREFIXES: Final = tuple(DISPATCH_ROOTS)

CLIENT_SET_PREFIX: Final = "KUBE-AFF-"
"""Sets, not chains: each has the clients that session affinity leads to one endpoint. kube-proxy
and kubelet have no sets of such names."""

KUBE_PROXY_CANARY: Final = "KUBE-PROXY-CANARY"
"""By its absence kube-proxy notices that a table was flushed."""

_CHOICE_PREFIXES: Final = (CLUSTER_POLICY_PREFIX, LOCAL_POLICY_PREFIX)

_LEFT_BY_KUBE_PROXY: Final = ("KUBE-XLB-", KUBE_PROXY_CANARY)
"""Chains of kube-proxy that have no place in our layout; the first: local external traffic until
1.22."""

MAX_LENGTH: Final = 28
"""XT_EXTENSION_MAXNAMELEN (29) less the NUL; libiptc cuts longer names without a word."""

MOST_GROUP_DIGITS: Final = 2
"""In the name of a group's chain; no more have room besides the rest."""

_HASH_BYTES: Final = 10
"""16 base32 characters are exactly 10 bytes of the digest."""

_BASE32_PAIRS: Final = tuple(
    first + second
    for first in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    for second in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)
"""Ten bits at a time: base64.b32encode takes four times as long, once per endpoint."""


def is_obsolete_unless_wanted(chain: str) -> bool:
    """Whether ``chain`` was made for some Services or endpoints, by us or by kube-proxy.

    Such a chain goes when nobody wants it any more, whoever made it.
    """
    return chain.startswith((*SERVICE_PREFIXES, *DISPATCH_PREFIXES, *_LEFT_BY_KUBE_PROXY))


def is_dispatch_chain(chain: str) -> bool:
    """Whether ``chain`` is for a range of VIPs or node ports."""
    return chain.startswith(DISPATCH_PREFIXES)


def is_service_chain(chain: str) -> bool:
    """Whether ``chain`` is a chain of nat that belongs to one service port or endpoint."""
    return chain.startswith(SERVICE_PREFIXES) and not is_dispatch_chain(chain)


def is_choice_chain(chain: str) -> bool:
    """Whether ``chain`` chooses among endpoints of one service port: all of them, or a group."""
    return chain.startswith(_CHOICE_PREFIXES) and not is_dispatch_chain(chain)


def is_group_chain(chain: str) -> bool:
    """Whether ``chain`` chooses among a group of the endpoints of one service port."""
    return is_choice_chain(chain) and chain.count("-") > _CHOICE_PREFIXES[0].count("-")


def hash_of(chain: str) -> str:
    """The hash in the name of a service port's or endpoint's chain, whatever its kind."""
    return chain.rpartition("-")[2]


def service_port_name(namespace: str, service: str, port: str) -> str:
    """``ns/name`` for a port without a name, else ``ns/name:port``."""
    return f"{namespace}/{service}:{port}" if port else f"{namespace}/{service}"


def chain_hash(text: str) -> str:
    """The first 16 characters of the base32 (RFC 4648) of the SHA-256 of ``text``."""
    bits = int.from_bytes(sha256(text.encode()).digest()[:_HASH_BYTES], "big")
    pairs = _BASE32_PAIRS
    return (
        f"{pairs[bits >> 70]}{pairs[bits >> 60 & 1023]}{pairs[bits >> 50 & 1023]}"
        f"{pairs[bits >> 40 & 1023]}{pairs[bits >> 30 & 1023]}{pairs[bits >> 20 & 1023]}"
        f"{pairs[bits >> 10 & 1023]}{pairs[bits & 1023]}"
    )


def service_hash(service_port: str, protocol: str) -> str:
    """The hash that the chains of a service port share."""
    return chain_hash(service_port + protocol)


def endpoint_chain(service_port: str, protocol: str, endpoint: str) -> str:
    """The KUBE-SEP chain of ``endpoint`` (``ip:port`` or ``[ip]:port``) in a service port."""
    return ENDPOINT_PREFIX + chain_hash(service_port + protocol + endpoint)


def group_chain(policy_chain: str, digits: str) -> str:
    """The chain of a group of the endpoints among which ``policy_chain`` chooses."""
    prefix, hyphen, port_hash = policy_chain.rpartition("-")
    return f"{prefix}{hyphen}{digits}{hyphen}{port_hash}"


def client_set(endpoint_chain: str) -> str:
    """The set of the clients of an endpoint; the families' differ, as their endpoints do."""
    return CLIENT_SET_PREFIX + hash_of(endpoint_chain)


def dispatch_chain(prefix: str, region: str) -> str:
    """The chain for VIPs or ports of ``region``: as people write it, or its hash if too long."""
    name = prefix + region.replace("/", "-")
    is_usable = ":" not in name and len(name) <= MAX_LENGTH
    return name if is_usable else prefix + chain_hash(region)
