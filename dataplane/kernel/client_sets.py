# SPDX-License-Identifier: Apache-2.0
"""The sets in which session affinity remembers clients: there before the rules that name them.

A rule in the kernel holds the number of its set. As long as it stands, the set can neither be
destroyed nor renamed, so that numbers which were asked for once stay true until the table changes
under our hands.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from time import monotonic
from typing import Final, NoReturn

from dataplane.errors import UnacceptableRulesError
from dataplane.kernel.set_commands import (
    SetsUnusableError,
    destroy_sets,
    flush_sets,
    list_sets,
    make_sets,
    numbers_of,
    order_sets,
)
from dataplane.kernel.set_messages import reason_text
from rules import names
from rules.ir import ClientSet, Family

_log = logging.getLogger(__name__)

LINGER_SECONDS: Final = 10.0
"""How long a set stays, without clients, after the rules that named it."""


class MissingSetError(UnacceptableRulesError):
    """A rule names a set that could not be made."""


class _Indices(dict[str, int]):
    """The numbers of our sets by name; who asks for another is told why there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[str, str] = {}

    def __missing__(self, name: str) -> NoReturn:
        reason = self.refusals.get(name, "it was not asked for")
        raise MissingSetError(f"the kernel has no set {name} to remember clients in: {reason}")


class ClientSets:
    """All of our sets of one family. Not thread-safe: one thread owns them."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._indices = _Indices()
        self._is_sure = False
        """Whether nobody can have changed what was learned."""
        self._unwanted_since: dict[str, float] = {}
        self._preparation: Thread | None = None

    @property
    def indices(self) -> Mapping[str, int]:
        """The kernel's numbers of the sets, which changes as they do.

        A name that it lacks raises :class:`MissingSetError`.
        """
        return self._indices

    def prepare(self, wanted: Iterable[ClientSet]) -> None:
        """Begin to make ``wanted``, beside the calling thread; whatever comes next waits for that.

        With each 64 sets the kernel waits for all packets that are on their way (ip_set_create in
        ip_set_core.c, where it needs room for more): thousands take a second in which it does
        nothing else. What it refuses, :meth:`provide` asks for again, and hears why.
        """
        self._await_preparation()
        ordered = tuple(wanted)

        def order() -> None:
            with _excused():
                order_sets(ordered, self._family)

        self._is_sure = False
        self._preparation = Thread(target=order, name="client-sets", daemon=True)
        self._preparation.start()

    def doubt(self) -> None:
        """Ask the kernel anew with the next call: somebody changed what kept the sets."""
        self._await_preparation()
        self._is_sure = False

    def provide(self, wanted: Iterable[ClientSet]) -> None:
        """Make those of ``wanted`` that are missing; the others keep their clients.

        A set that cannot be made is missing in :attr:`indices`: rules that name it cannot stand,
        which concerns nobody else.
        """
        self._await_preparation()
        by_name = {one.name: one for one in wanted}
        if not by_name:
            return
        self._indices.refusals.clear()
        try:
            self._look_if_unsure()
            missing = [one for name, one in by_name.items() if name not in self._indices]
            outcomes = make_sets(missing, self._family) if missing else {}
            made = [name for name, number in outcomes.items() if not number]
            self._indices.update(numbers_of(made) if made else {})
        except SetsUnusableError as error:
            self._indices.refusals.update(dict.fromkeys(by_name, str(error)))
            return
        self._indices.refusals.update(
            (name, reason_text(number)) for name, number in outcomes.items() if number
        )

    def withdraw(self, staying: Iterable[ClientSet], *, is_emptying: bool = True) -> None:
        """Empty all but ``staying``, and destroy those that went a while ago.

        Without ``is_emptying`` those that a rule still names keep their clients.

        Who lists rules reads a table first, then asks for the names of the sets in it, and gives up
        if one is gone: programs such as iptables-save must have the time to end.
        """
        self._await_preparation()
        wanted = {one.name for one in staying}
        now = monotonic()
        with _excused():
            self._look_if_unsure()
            known = self._unwanted_since
            unwanted = {name: known.get(name, now) for name in self._indices if name not in wanted}
            new = [name for name in unwanted if name not in known]
            if new and is_emptying:
                flush_sets(new)
            self._unwanted_since = unwanted
            self._destroy(name for name, since in unwanted.items() if now - since >= LINGER_SECONDS)

    def destroy_all(self) -> None:
        """Destroy all that no rule names."""
        self._await_preparation()
        with _excused():
            self._look_if_unsure()
            self._destroy(self._indices)

    def _destroy(self, names: Iterable[str]) -> None:
        """Destroy sets; one that a rule of somebody else names stays."""
        if listed := list(names):
            for name, number in destroy_sets(listed).items():
                if number in (0, errno.ENOENT):
                    del self._indices[name]

    def _await_preparation(self) -> None:
        if self._preparation is not None:
            self._preparation.join()
            self._preparation = None

    def _look_if_unsure(self) -> None:
        if self._is_sure:
            return
        indices = _ask_for_indices(self._family)
        self._indices.clear()
        self._indices.update(indices)
        self._is_sure = True


@contextmanager
def _excused() -> Iterator[None]:
    """What is done early, or late, is in nobody's way: it is tried again when it must be."""
    try:
        yield
    except SetsUnusableError as error:
        _log.debug("sets stay as they are for now: %s", error)


def known_indices(family: Family) -> dict[str, int]:
    """The kernel's numbers of all sets of ours in one family; none if it does not tell."""
    try:
        return _ask_for_indices(family)
    except SetsUnusableError:
        return {}


def _ask_for_indices(family: Family) -> dict[str, int]:
    return {
        one.name: one.number
        for one in list_sets()
        if one.name.startswith(names.CLIENT_SET_PREFIX)
        and one.family is family
        and one.is_of_clients
    }
