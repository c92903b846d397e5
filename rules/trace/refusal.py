# SPDX-License-Identifier: Apache-2.0
"""By which policy a packet was refused, read off the rules that it met."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from rules import names
from rules.external_chains import INGRESS_IP
from rules.ir import Comment, Rule
from rules.rejects import NO_ENDPOINTS, NO_LOCAL_ENDPOINTS
from rules.trace.packet import Step
from rules.trace.rule_set import ForeignRule

_REFUSALS: Final = (
    names.SERVICES,
    names.EXTERNAL_SERVICES,
    names.INTERNAL_REFUSAL_PREFIX,
    names.EXTERNAL_REFUSAL_PREFIX,
    names.NODE_PORT_REFUSAL_PREFIX,
)
"""How the names begin of the chains that refuse what nobody can serve."""


class Policy(Enum):
    """Why a packet is rejected or dropped."""

    SOURCE_RANGES = "sourceRanges"
    """Its source is in none of loadBalancerSourceRanges."""
    NO_ENDPOINTS = "noEndpoints"
    """No node could serve it."""
    NO_LOCAL_ENDPOINTS = "noLocalEndpoints"
    """Other nodes could serve it; under policy Local this one must not send it there."""
    LOOPBACK_GUARD = "loopbackGuard"
    """It comes from the network to 127.0.0.0/8."""
    OTHER_RULE = "otherRule"
    """A rule that is not about Services."""
    CHAIN_POLICY = "chainPolicy"
    """No rule accepts it, and the built-in chain drops by default."""


class Refusal(NamedTuple):
    """Why a packet ends on its way."""

    policy: Policy
    where: str
    """The service port name; without a Service the table and the chain."""


def refusal_of(steps: Sequence[Step], policy_of: str) -> Refusal:
    """Why a packet was refused that met ``steps``, the last of which refused it.

    ``policy_of`` names the built-in chain whose policy refused it in place of a rule, if one did.
    """
    if policy_of:
        return Refusal(Policy.CHAIN_POLICY, policy_of)
    last = steps[-1]
    comment = _comment(last)
    for policy, words in (
        (Policy.NO_ENDPOINTS, NO_ENDPOINTS),
        (Policy.NO_LOCAL_ENDPOINTS, NO_LOCAL_ENDPOINTS),
    ):
        if last.chain.startswith(_REFUSALS) and comment.endswith(words):
            return Refusal(policy, comment.removesuffix(words))
    if last.chain == names.PROXY_FIREWALL and (refusal := _firewalled(steps)):
        return refusal
    where = f"{last.table.value} {last.chain}"
    is_guard = last.chain == names.KUBELET_FIREWALL
    return Refusal(Policy.LOOPBACK_GUARD if is_guard else Policy.OTHER_RULE, where)


def _firewalled(steps: Sequence[Step]) -> Refusal | None:
    """Why a packet has the drop mark: not admitted, or admitted and back without an endpoint."""
    for step in steps:
        if _target(step) == names.MARK_DROP and step.chain.startswith(names.LOAD_BALANCER_PREFIX):
            was_admitted = any(
                other.chain == step.chain
                and _target(other) not in (names.MARK_DROP, names.MARK_MASQ)
                for other in steps
            )
            policy = Policy.NO_LOCAL_ENDPOINTS if was_admitted else Policy.SOURCE_RANGES
            return Refusal(policy, _comment(step).removesuffix(INGRESS_IP))
    return None


def _known(step: Step) -> Rule:
    return step.rule.known if isinstance(step.rule, ForeignRule) else step.rule


def _target(step: Step) -> object:
    return _known(step).target


def _comment(step: Step) -> str:
    texts = [match.text for match in _known(step).matches if isinstance(match, Comment)]
    return texts[0] if texts else ""
