# SPDX-License-Identifier: Apache-2.0
"""Tells on a signal where all threads are."""

from __future__ import annotations

import faulthandler
import signal
from threading import Thread


def dump_stacks_on(number: signal.Signals) -> None:
    """Write the stacks of all threads to stderr each time that signal ``number`` comes.

    To be called before other threads are started: none of them may be interrupted by the signal. A
    thread of its own waits for it and looks at the others while they wait for Python's global lock;
    a signal handler that looks at them while they run can bring the process down.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    Thread(target=_dump_forever, args=[number], name="stacks", daemon=True).start()


def _dump_forever(number: signal.Signals) -> None:
    while True:
        signal.sigwait([number])
        faulthandler.dump_traceback(all_threads=True)
