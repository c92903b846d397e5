# SPDX-License-Identifier: Apache-2.0
"""From Services to their rules, each built once until it changes, and on to tables."""

from __future__ import annotations

from collections.abc import Mapping

from rules.check import BrokenRulesError, check_service
from rules.compose import compose
from rules.context import FamilyContext
from rules.ir import Tables
from rules.model import ObjectKey, ServiceState
from rules.service import NO_RULES, ServiceRules, ServicesRules, build_service


class ServiceBuilder:
    """Builds the rules of each Service and remembers them until their input changes.

    The memory is not visible in the results: they equal those of a new builder, always.
    """

    def __init__(self, context: FamilyContext, standing: ServicesRules | None = None) -> None:
        """Build for ``context``; ``standing`` has the rules of Services from before, if any.

        They are kept for Services whose rules for ``context`` turn out to be broken.
        """
        self._context = context
        self._standing = standing or {}
        self._states: Mapping[ObjectKey, ServiceState] | None = None
        self._built: dict[ObjectKey, tuple[ServiceState, ServiceRules]] = {}
        self._broken: dict[ObjectKey, str] = {}
        self._result: ServicesRules = {}

    @property
    def broken(self) -> Mapping[ObjectKey, str]:
        """Services whose rules broke an invariant, with the reason; they keep those from before."""
        return self._broken

    @property
    def context(self) -> FamilyContext:
        """What the remembered rules were built for."""
        return self._context

    def build(self, states: Mapping[ObjectKey, ServiceState]) -> ServicesRules:
        """The rules of all Services in ``states``, sorted by name.

        Only those are rebuilt whose state is another object than last time; if there are none, the
        result is the same object, too. ``states`` must not change afterwards: the same mapping as
        last time is not looked at again.
        """
        if states is self._states:
            return self._result
        self._states = states
        built = self._built
        standing, self._standing = self._standing, {}
        changed = [
            key
            for key, state in states.items()
            if (known := built.get(key)) is None or known[0] is not state
        ]
        are_same_services = built.keys() == states.keys()
        if not changed and are_same_services:
            return self._result
        self._built = dict(built) if are_same_services else self._sorted(states)
        for key in changed:
            state = states[key]
            before = built[key][1] if key in built else standing.get(key, NO_RULES)
            self._built[key] = (state, self._build(key, state, before))
        self._broken = {key: why for key, why in self._broken.items() if key in states}
        self._result = {
            key: rules for key, (_, rules) in self._built.items() if rules is not NO_RULES
        }
        return self._result

    def _sorted(
        self, states: Mapping[ObjectKey, ServiceState]
    ) -> dict[ObjectKey, tuple[ServiceState, ServiceRules]]:
        """A place for each of ``states``, in order, with what is remembered of it."""
        return {key: self._built.get(key, (states[key], NO_RULES)) for key in sorted(states)}

    def _build(self, key: ObjectKey, state: ServiceState, before: ServiceRules) -> ServiceRules:
        """The rules of one Service; those from ``before`` if the new ones are broken."""
        try:
            rules = build_service(state, self._context)
            check_service(key, rules)
        except BrokenRulesError as error:
            self._broken[key] = str(error)
            return before
        except Exception as error:  # noqa: BLE001 - a defect met by one Service stops no other
            self._broken[key] = str(BrokenRulesError(f"service {key}", [repr(error)]))
            return before
        self._broken.pop(key, None)
        return rules


def build(states: Mapping[ObjectKey, ServiceState], context: FamilyContext) -> Tables:
    """The tables of one family from scratch.

    Raises:
        BrokenRulesError: the rules of a Service break an invariant.
    """
    builder = ServiceBuilder(context)
    services = builder.build(states)
    if builder.broken:
        raise BrokenRulesError("the tables", builder.broken.values())
    return compose(services, context)
