# SPDX-License-Identifier: Apache-2.0
"""What a rule of the kernel counts for, and for whom.

Rules are known by their chains, targets and addresses, never by comments: those of a large cluster
have none, and kube-proxy's may differ.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import Enum
from functools import cached_property
from typing import Final, NamedTuple

from rules import names
from rules.addresses import endpoint_text, host_network
from rules.context import FamilyContext
from rules.ir import DROP, Dnat, PortMatch, Reject, Rule, TableName
from rules.model import ObjectKey, ServiceState
from rules.service_port import ServicePortPlan, for_family, plan_port

_POLICY_PREFIXES: Final = (names.CLUSTER_POLICY_PREFIX, names.LOCAL_POLICY_PREFIX)
_REFUSING: Final = frozenset({names.SERVICES, names.EXTERNAL_SERVICES})
_COUNTED_TARGETS: Final = {
    TableName.NAT: frozenset({"DNAT", names.MARK_DROP}),
    TableName.FILTER: frozenset({"REJECT", DROP}),
}


class Purpose(Enum):
    """What a counter counts."""

    SERVED = "served"
    """Connections that were led to a choice among endpoints."""
    TRANSLATED = "translated"
    """Connections that were sent to one endpoint."""
    OUTSIDE_SOURCE_RANGES = "sourceRanges"
    """Packets dropped since loadBalancerSourceRanges do not admit their sender."""
    NO_LOCAL_ENDPOINTS = "noLocalEndpoints"
    """Packets dropped since no endpoint is on this node, and policy Local forbids others."""
    REJECTED = "rejected"
    """Packets rejected since there is no endpoint."""


class Account(NamedTuple):
    """What is counted together."""

    port: str
    """Hash of the service port, as in the names of its chains."""
    purpose: Purpose
    endpoint: str = ""
    """``ip:port`` or ``[ip]:port`` if it is about one endpoint."""


class Counter(NamedTuple):
    """One of the kernel's counters."""

    slot: Hashable
    """The same for a rule and for what takes its place: another chain of a tree, other odds."""
    account: Account


class ServicePortView(NamedTuple):
    """A service port of a Service as this node sees it."""

    key: ObjectKey
    plan: ServicePortPlan

    @property
    def hash(self) -> str:
        """What the names of its chains end with."""
        return names.hash_of(self.plan.cluster_chain)


def is_counted(table: TableName, target: str) -> bool:
    """Whether a rule may count for a service port or endpoint, judged by where it leads.

    Targets that are no chain go by the name of their extension.
    """
    if table is TableName.NAT and target.startswith(_POLICY_PREFIXES):
        return not names.is_group_chain(target)
    return target in _COUNTED_TARGETS[table]


def counts_endpoints(chain: str) -> bool:
    """Whether what a chain's rules count is about endpoints, as in most chains of a node."""
    return names.is_choice_chain(chain) or chain.startswith(names.ENDPOINT_PREFIX)


def tree_of(chain: str) -> str:
    """The chain whose rules stand in ``chain``: the root of its tree, or itself."""
    roots = names.DISPATCH_ROOTS.items()
    return next((root for prefix, root in roots if chain.startswith(prefix)), chain)


def service_ports(
    services: Iterable[ServiceState], context: FamilyContext
) -> Iterator[ServicePortView]:
    """All service ports that this node serves in a family, in the order of ``services``."""
    for state in services:
        service = for_family(state.service, context.family)
        if not service.is_proxied or not service.cluster_ips:
            continue
        for port in sorted(service.ports):
            yield ServicePortView(service.key, plan_port(service, port, state.slices, context))


class Accounts:
    """Knows what rules of one family's tables count for."""

    def __init__(self, ports: Iterable[ServicePortView]) -> None:
        self._ports: dict[str, ServicePortPlan] = {}
        self._of_vip: dict[tuple[str, str, int], str] = {}
        self._of_node_port: dict[tuple[str, int], str] = {}
        for port in ports:
            self._add(port.hash, port.plan)

    def counter(self, table: TableName, chain: str, rule: Rule, header: Hashable) -> Counter | None:
        """What a rule counts; None if that is nothing, or nobody's who is known.

        ``header`` is what tells it from others of its chain with the same target: the addresses,
        interface and protocol that it asks for. Of its matches only a port is looked at.
        """
        tree = tree_of(chain)
        if table is TableName.FILTER:
            return self._refusal(tree, rule, header) if tree in _REFUSING else None
        match rule.target:
            case Dnat(address, port):
                account = self._endpoint(chain, endpoint_text(address, port))
                # An endpoint has one rule, in its own chain or in its service port's.
                return account and Counter(account, account)
            case names.MARK_DROP:
                return self._firewall(chain)
            case str(target) if self._is_entered(target):
                account = Account(names.hash_of(target), Purpose.SERVED)
                return Counter((tree, target, header), account)
        return None

    def _add(self, port_hash: str, plan: ServicePortPlan) -> None:
        self._ports[port_hash] = plan
        for address in (*plan.cluster_ips, *plan.external_ips, *plan.ingress_ips):
            self._of_vip[host_network(address), plan.protocol, plan.port] = port_hash
        if plan.node_port:
            self._of_node_port[plan.protocol, plan.node_port] = port_hash

    @cached_property
    def _of_endpoint_chain(self) -> Mapping[str, Account]:
        return {
            names.endpoint_chain(plan.name, plan.protocol, endpoint.text): Account(
                port_hash, Purpose.TRANSLATED, endpoint.text
            )
            for port_hash, plan in self._ports.items()
            for endpoint in (*plan.endpoints.cluster, *plan.endpoints.local)
        }

    def _is_entered(self, chain: str) -> bool:
        """Whether the jump to ``chain`` is where a service port's rules begin."""
        return names.hash_of(chain) in self._ports and not names.is_group_chain(chain)

    def _endpoint(self, chain: str, text: str) -> Account | None:
        if names.is_choice_chain(chain) and names.hash_of(chain) in self._ports:
            return Account(names.hash_of(chain), Purpose.TRANSLATED, text)
        return self._of_endpoint_chain.get(chain)

    def _firewall(self, chain: str) -> Counter | None:
        """The end of a KUBE-FW chain, which admitted packets reach if nobody here serves them."""
        port_hash = names.hash_of(chain)
        plan = self._ports.get(port_hash)
        if plan is None or not chain.startswith(names.LOAD_BALANCER_PREFIX):
            return None
        is_unserved = plan.admission.everybody or not plan.has_external_endpoints
        purpose = Purpose.NO_LOCAL_ENDPOINTS if is_unserved else Purpose.OUTSIDE_SOURCE_RANGES
        return Counter(chain, Account(port_hash, purpose))

    def _refusal(self, tree: str, rule: Rule, header: Hashable) -> Counter | None:
        port = next((match for match in rule.matches if isinstance(match, PortMatch)), None)
        if port is None or port.destination is None:
            return None
        if rule.destination:
            key = (rule.destination, port.protocol, port.destination)
            port_hash = self._of_vip.get(key)
        else:
            port_hash = self._of_node_port.get((port.protocol, port.destination))
        if port_hash is None:
            return None
        is_rejected = isinstance(rule.target, Reject)
        purpose = Purpose.REJECTED if is_rejected else Purpose.NO_LOCAL_ENDPOINTS
        account = Account(port_hash, purpose)
        return Counter((tree, header, account), account)
