# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at any moment, again and again, while the cluster changes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from threading import Event, Thread
from typing import Final

from lab import wait_until
from tests.address_plan import IPV4, PLANS, AddressPlan
from tests.apiserver.objects import service
from tests.faults.stand import Contents, Stand, rules_in, slice_of
from tests.faults.whole_rules import fixed_rules, flaws
from tests.kernel.traffic import LOCAL, REMOTE

_SEED: Final = 20240229
_KILLS_AT_WORK: Final = 10
_KILLS_AT_START: Final = 5
_LIFE_AT_WORK_SECONDS: Final = (0.0, 0.3)
"""From the first sync on."""
_LIFE_AT_START_SECONDS: Final = (0.2, 1.0)
"""From the start of the process on: to about the first sync."""
_CHANGES: Final = tuple(f"10.244.{net}.{host}" for net in (1, 2, 3) for host in range(10, 14))


@contextmanager
def _again_and_again(act: Callable[[], None], pause_seconds: float) -> Iterator[None]:
    """Do ``act`` on another thread all through the block; what it raises is raised at the end."""
    stopped, errors = Event(), list[Exception]()

    def run() -> None:
        try:
            while not stopped.wait(pause_seconds):
                act()
        except Exception as error:  # noqa: BLE001 - raised below, on the thread of the test
            errors.append(error)

    thread = Thread(target=run, name="again and again")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    for error in errors:
        raise error


class _Changes:
    """Moves endpoints, and lets services come and go."""

    def __init__(self, stand: Stand, random: Random) -> None:
        self._stand = stand
        self._random = random

    def make_one(self) -> None:
        random, server = self._random, self._stand.server
        name = f"other-{random.randrange(6)}"
        address = f"10.96.1.{name[-1]}"
        match random.randrange(4):
            case 0:
                self._stand.tell_news(random.choice((LOCAL, REMOTE)))
            case 1:
                server.put(service(name, clusterIP=address, clusterIPs=[address]))
            case 2:
                server.delete("Service", "default", name)
            case _:
                some = random.sample(_CHANGES, random.randrange(len(_CHANGES)))
                server.put(slice_of(IPV4, name, *some))


class _Watcher:
    """Looks at the kernel's rules again and again."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._fixed = list(map(fixed_rules, stand.contents()))
        self._last: list[Contents] = []
        self.states = 0
        """How many different ones were seen, one after the other."""
        self.flaws: list[str] = []

    def look(self) -> None:
        contents = self._stand.contents()
        if contents == self._last:
            return
        self._last = contents
        self.states += 1
        self.flaws += (flaw for family in contents for flaw in flaws(family))
        if list(map(fixed_rules, contents)) != self._fixed:
            self.flaws.append(f"fixed rules changed: {contents}")


def test_no_kill_is_seen_in_the_rules(stand: Stand) -> None:
    """Through fifteen kills all rules are whole at every look, and the last agent ends up right."""
    random = Random(_SEED)  # noqa: S311 - no secret
    stand.start_and_wait().end(signal.SIGKILL)
    watcher = _Watcher(stand)
    lives = [_LIFE_AT_WORK_SECONDS] * _KILLS_AT_WORK + [_LIFE_AT_START_SECONDS] * _KILLS_AT_START
    random.shuffle(lives)
    changes = _Changes(stand, Random(_SEED))  # noqa: S311 - no secret

    with stand.all_answered(), _again_and_again(watcher.look, pause_seconds=0.1):
        with _again_and_again(changes.make_one, pause_seconds=0.04):
            for life in lives:
                agent = stand.start()
                if life is _LIFE_AT_WORK_SECONDS:
                    agent.wait_for("synced ipv4")
                Event().wait(random.uniform(*life))
                assert agent.end(signal.SIGKILL) == -signal.SIGKILL
        last = stand.start()
        for plan in PLANS:
            is_right = partial(_is_as_wanted, stand, plan, _wanted(stand, plan))
            wait_until(f"all of {plan.family.value} is as wanted", is_right)

    assert watcher.flaws == []
    # Most of those who were killed at work had written something.
    assert watcher.states > _KILLS_AT_WORK / 2
    assert last.is_running


def _wanted(stand: Stand, plan: AddressPlan) -> dict[tuple[str, str], list[str]]:
    """The rules of our chains, and the jumps to them, as ``dataplane dump`` prints them."""
    flags = [one for one in stand.site._flags() if one.startswith(("--hostname", "--cluster-cidr"))]
    done = stand.site.command("dump", stand.source, f"--family={plan.family.value}", *flags)
    assert done.returncode == 0, done.stderr
    wanted = _ours(done.stdout.splitlines())
    assert wanted
    return wanted


def _is_as_wanted(
    stand: Stand, plan: AddressPlan, wanted: dict[tuple[str, str], list[str]]
) -> bool:
    return _ours(stand.site.node.save(plan)) == wanted


def _ours(lines: list[str]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for table, chain, rule in rules_in(lines):
        if "KUBE-" in rule:
            found.setdefault((table, chain), []).append(rule)
    return found
