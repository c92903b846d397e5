# SPDX-License-Identifier: Apache-2.0
"""Services whose clients keep their endpoint, and where the kernel remembers them."""

from __future__ import annotations

from typing import Final

from rules import names
from rules.affinity import AffinityBackend
from rules.ir import Family
from rules.model import ServiceState
from tests.address_plan import AddressPlan
from tests.builders import local, remote, service_port, state
from tests.kernel.traffic import LOCAL, REMOTE
from tests.printed import sep

SETS: Final = AffinityBackend.IPSET
FAMILY_NAMES: Final = {Family.IPV4: "inet", Family.IPV6: "inet6"}
"""As ipset calls them."""


def sticky(
    plan: AddressPlan, *pods: str, seconds: int = 600, protocol: str = "tcp"
) -> ServiceState:
    """A Service with session affinity."""
    endpoints = [local(pod) if pod == plan.local_pod else remote(pod) for pod in pods]
    ports = (service_port(protocol=protocol),)
    return state(plan, *endpoints, ports=ports, affinity_seconds=seconds)


def with_two_endpoints(plan: AddressPlan) -> ServiceState:
    """One with a pod on this node and a pod on another."""
    return sticky(plan, plan.local_pod, plan.remote_pod)


def set_of(plan: AddressPlan, pod: str) -> str:
    """The set of the clients of a pod."""
    return names.client_set(sep(plan, pod))


def pod_addresses(plan: AddressPlan) -> dict[str, str]:
    """The addresses of the two pods by their names."""
    return {LOCAL.name: plan.local_pod, REMOTE.name: plan.remote_pod}
