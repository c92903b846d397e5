# SPDX-License-Identifier: Apache-2.0
"""What lines of the kernel's trace mean; their form is that of Linux 6.18."""

from __future__ import annotations

from bench.cluster.tracing import Traced, understood

_LOCK = (
    "   restore-7  [000] .....   {at}: flock_lock_inode: fl=000000000f dev=0xfe:0x0 ino=0x98 "
    "fl_blocker=0000000000000000 fl_owner=00000000588c524{owner} fl_pid=7 fl_flags=FL_FLOCK "
    "fl_type={type} fl_start=0 fl_end=9223372036854775807 ret={result}"
)


def _lock(at: float, kind: str, *, owner: int = 1, result: int = 0) -> str:
    return _LOCK.format(at=f"{at:.6f}", type=kind, owner=owner, result=result)


def _replace(at: float, task: int = 7) -> str:
    call = "sys_setsockopt(fd: 4, level: 0, optname: 0x40, optval: 0x5641, optlen: 0x4b8)"
    return f" restore-{task}  [001] .....  {at:.6f}: {call}"


def _left(at: float, task: int = 7) -> str:
    return f" restore-{task}  [001] .....  {at:.6f}: sys_setsockopt -> 0x0"


def test_a_replacement_lasts_from_call_to_return() -> None:
    """Other settings of the same task, before and after it, do not count."""
    traced = understood([_left(1.0), _replace(1.5), _left(1.75), _left(1.9)])
    assert traced == Traced((0.25,), ())


def test_tasks_are_told_apart() -> None:
    """Two replacements at once each last as long as their own task says."""
    traced = understood([_replace(1.0, 7), _replace(1.25, 8), _left(1.5, 7), _left(2.25, 8)])
    assert traced.replacements == (0.5, 1.0)


def test_a_lock_is_held_from_getting_it_to_giving_it_back() -> None:
    """Waiting for it is not holding it."""
    traced = understood(
        [
            _lock(1.0, "F_WRLCK", owner=1),
            _lock(1.25, "F_WRLCK", owner=2, result=1),
            _lock(1.5, "F_UNLCK", owner=1),
            _lock(1.5, "F_WRLCK", owner=2),
            _lock(2.25, "F_UNLCK", owner=2),
        ]
    )
    assert traced == Traced((), (0.5, 0.75))


def test_who_gives_up_waiting_gives_back_nothing() -> None:
    """A file that is closed without the lock ends nobody's hold."""
    traced = understood(
        [
            _lock(1.0, "F_WRLCK", owner=1),
            _lock(1.25, "F_WRLCK", owner=2, result=1),
            _lock(1.5, "F_UNLCK", owner=2),
        ]
    )
    assert traced.lock_holds == ()


def test_the_header_of_a_trace_is_passed_over() -> None:
    """Lines that are no events mean nothing."""
    assert understood(["# tracer: nop", "#", ""]) == Traced((), ())
