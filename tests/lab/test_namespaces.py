# SPDX-License-Identifier: Apache-2.0
"""Names, removal and sweeping: a lab leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lab.namespaces
from lab import Lab, wait_until
from lab.namespaces import add_namespaces, remove_namespaces, sweep

_HACK = Path(lab.namespaces.__file__).parent.parent

_BUILD_AND_WAIT = """
import signal
import sys
import lab.namespaces
from lab import Lab
lab.namespaces._MARK = sys.argv[1]
# Who starts the tests in the background may ignore it, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Lab() as lab:
    host, = lab.add_hosts("left")
    child = host.popen(["sleep", "600"], log=lab.folder / "log")
    print(host.namespace, lab.folder, child.pid, flush=True)
    signal.pause()
"""


@pytest.fixture
def mark_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that labs of other tests, which run beside this one, do not sweep."""
    monkeypatch.setattr("lab.namespaces._MARK", "kdp-swept")


def _namespaces() -> set[str]:
    return {path.name for path in Path("/run/netns").iterdir()}


def _lab_in_another_process() -> tuple[subprocess.Popen[str], str, Path, int]:
    """Start a process that builds a lab and waits; return it, its namespace, folder and child."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _BUILD_AND_WAIT, lab.namespaces._MARK],
        env={**os.environ, "PYTHONPATH": str(_HACK)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    with owner.stdout:
        namespace, folder, child = owner.stdout.readline().split()
    return owner, namespace, Path(folder), int(child)


def test_nothing_is_left_after_a_lab() -> None:
    """The namespaces, the processes and the folder of a lab end with it."""
    with Lab() as lab:
        hosts = lab.add_hosts("one", "two")
        process = hosts[0].popen(["sleep", "600"], log=lab.folder / "log")
        assert {host.namespace for host in hosts} <= _namespaces()

    assert process.returncode == -signal.SIGTERM
    assert not lab.folder.exists()
    assert not {host.namespace for host in hosts} & _namespaces()


def test_nothing_is_left_after_an_error() -> None:
    """An exception inside the block removes the lab and passes through."""
    namespaces: set[str] = set()

    def fail() -> None:
        with Lab() as lab:
            namespaces.update(host.namespace for host in lab.add_hosts("one"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert namespaces
    assert not namespaces & _namespaces()


def test_nothing_is_left_after_an_interrupt() -> None:
    """SIGINT, as Ctrl-C sends it, removes the lab before the process ends."""
    owner, namespace, folder, child = _lab_in_another_process()
    assert namespace in _namespaces()

    owner.send_signal(signal.SIGINT)
    owner.wait(timeout=20)

    assert namespace not in _namespaces()
    assert not folder.exists()
    assert not Path("/proc", str(child)).exists()


def test_a_process_that_ignores_the_request_to_end_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lab ends although one of its programs, and a child of that, do not want to."""
    monkeypatch.setattr("lab.host._STOP_SECONDS", 0.2)
    stubborn = "trap '' TERM; sleep 600 & echo $!; wait"

    with Lab() as lab:
        (host,) = lab.add_hosts("one")
        log = lab.folder / "log"
        process = host.popen(["bash", "-c", stubborn], log=log)
        wait_until("the trap is set", lambda: log.read_text().endswith("\n"))
        child = int(log.read_text())

    assert process.returncode == -signal.SIGKILL
    wait_until("the child is gone", lambda: not Path("/proc", str(child)).exists())


@pytest.mark.usefixtures("mark_of_our_own")
def test_sweep_removes_what_a_killed_owner_left() -> None:
    """Namespaces, processes and folders of a lab whose owner is dead are removed, once."""
    owner, namespace, folder, child = _lab_in_another_process()
    owner.kill()
    owner.wait(timeout=20)
    assert namespace in _namespaces()

    assert namespace in sweep()

    assert namespace not in _namespaces()
    assert not folder.exists()
    wait_until("the child is gone", lambda: not Path("/proc", str(child)).exists())
    assert namespace not in sweep()


@pytest.mark.usefixtures("mark_of_our_own")
def test_sweeps_at_the_same_time() -> None:
    """What a killed owner left is removed by one of them; the others find nothing and go on."""
    owner, namespace, _, _ = _lab_in_another_process()
    owner.kill()
    owner.wait(timeout=20)

    with ThreadPoolExecutor() as pool:
        swept = [sweeping.result() for sweeping in [pool.submit(sweep) for _ in range(4)]]

    assert sorted(swept) == [(), (), (), (namespace,)]


def test_sweep_leaves_what_is_not_certainly_dead() -> None:
    """Labs of living owners and namespaces of other names survive a sweep."""
    stranger = f"other-kdp-{os.getpid()}"
    with Lab() as lab:
        (host,) = lab.add_hosts("one")
        add_namespaces([stranger])
        try:
            sweep()
            assert {host.namespace, stranger} <= _namespaces()
            assert lab.folder.is_dir()
            assert lab.folder.parent == Path(tempfile.gettempdir())
        finally:
            remove_namespaces([stranger])
    assert stranger not in _namespaces()


def test_only_the_entering_thread_moves() -> None:
    """A thread that enters a machine leaves other threads where they are, and comes back."""
    here = Path("/proc/thread-self/ns/net")
    home = here.readlink()
    elsewhere: list[Path] = []

    with Lab() as lab:
        (host,) = lab.add_hosts("one")
        may_look = threading.Event()

        def look() -> None:
            assert may_look.wait(10)
            elsewhere.append(here.readlink())

        watcher = threading.Thread(target=look)
        watcher.start()
        with host.entered():
            inside = here.readlink()
            may_look.set()
            watcher.join()

    assert inside != home
    assert elsewhere == [home]
    assert here.readlink() == home
