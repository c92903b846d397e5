# SPDX-License-Identifier: Apache-2.0
"""Which kernel settings are written, on a tree of files in place of the kernel's."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dataplane.settings import ConntrackSettings
from dataplane.sysctls import (
    conntrack_maximum,
    enable_route_localnet,
    is_tcp_be_liberal,
    set_conntrack,
    set_oom_score,
)

_NETFILTER = "net/netfilter"
_ROUTE_LOCALNET = "net/ipv4/conf/all/route_localnet"
_OOM_SCORE = "oom_score_adj"
_OF_THE_KERNEL = {
    f"{_NETFILTER}/nf_conntrack_max": "262144",
    f"{_NETFILTER}/nf_conntrack_tcp_timeout_established": "432000",
    f"{_NETFILTER}/nf_conntrack_tcp_timeout_close_wait": "60",
    f"{_NETFILTER}/nf_conntrack_tcp_be_liberal": "0",
    f"{_NETFILTER}/nf_conntrack_udp_timeout": "30",
    f"{_NETFILTER}/nf_conntrack_udp_timeout_stream": "120",
    f"{_NETFILTER}/nf_conntrack_buckets": "65536",
    _ROUTE_LOCALNET: "0",
    _OOM_SCORE: "0",
}
_ALL = ConntrackSettings(
    max_per_core=200_000,
    minimum=131_072,
    tcp_established_timeout_seconds=86_400.0,
    tcp_close_wait_timeout_seconds=3_600.0,
    tcp_be_liberal=True,
    udp_timeout_seconds=250.0,
    udp_stream_timeout_seconds=251.9,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with the settings of a fresh kernel."""
    for name, value in _OF_THE_KERNEL.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    return tmp_path


def _changed(root: Path) -> dict[str, str]:
    """What is not as the kernel had it."""
    texts = {name: (root / name).read_text().strip() for name in _OF_THE_KERNEL}
    return {
        name.rpartition("/")[2]: text
        for name, text in texts.items()
        if text != _OF_THE_KERNEL[name]
    }


@pytest.mark.parametrize(
    ("per_core", "least", "cores", "expected"),
    [
        (32_768, 131_072, 2, 131_072),
        (32_768, 131_072, 8, 262_144),
        (32_768, 131_072, 33, 1_048_576),
        (32_768, 2_000_000, 2, 2_000_000),
        (32_768, 2_000_000, 64, 1_048_576),
        (32_768, 0, 2, 65_536),
        (0, 131_072, 8, 0),
    ],
)
def test_how_many_entries(per_core: int, least: int, cores: int, expected: int) -> None:
    """So many for each core, a minimum at least, a million for cores; nothing without a rate."""
    settings = ConntrackSettings(max_per_core=per_core, minimum=least)

    assert conntrack_maximum(settings, cores) == expected


def test_all_settings(root: Path) -> None:
    """Each goes to the file of its name, in whole seconds; buckets are a quarter of the entries."""
    set_conntrack(_ALL, 2, root)

    assert _changed(root) == {
        "nf_conntrack_max": "400000",
        "nf_conntrack_tcp_timeout_established": "86400",
        "nf_conntrack_tcp_timeout_close_wait": "3600",
        "nf_conntrack_tcp_be_liberal": "1",
        "nf_conntrack_udp_timeout": "250",
        "nf_conntrack_udp_timeout_stream": "251",
        "nf_conntrack_buckets": "100000",
    }


def test_zero_leaves_settings_alone(root: Path) -> None:
    """Without wishes nothing is written."""
    set_conntrack(ConntrackSettings(), 8, root)

    assert _changed(root) == {}


def test_buckets_are_never_taken_away(root: Path) -> None:
    """A lower limit of entries is set, but the larger number of buckets stays."""
    set_conntrack(ConntrackSettings(max_per_core=32_768), 4, root)

    assert _changed(root) == {"nf_conntrack_max": "131072"}


def test_a_setting_that_is_right_is_not_written(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second time there is nothing to do: no file is written, nothing is told."""
    set_conntrack(_ALL, 2, root)
    before = {name: (root / name).stat().st_mtime_ns for name in _OF_THE_KERNEL}
    caplog.set_level(logging.DEBUG)
    caplog.clear()

    set_conntrack(_ALL, 2, root)

    assert {name: (root / name).stat().st_mtime_ns for name in _OF_THE_KERNEL} == before
    assert caplog.records == []


def test_what_cannot_be_set_is_a_warning(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One setting that is missing is named with the reason, and the others are made."""
    missing = root / _NETFILTER / "nf_conntrack_udp_timeout"
    missing.unlink()

    set_conntrack(replace(_ALL, max_per_core=0), 2, root)

    (warning,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert f"cannot set {missing} to 250: No such file or directory" in warning.message
    assert (root / _NETFILTER / "nf_conntrack_udp_timeout_stream").read_text() == "251"


@pytest.mark.parametrize(
    ("number", "is_hinted"), [(errno.EROFS, True), (errno.EACCES, False)], ids=["pod", "rights"]
)
def test_a_pod_is_told_where_to_write(
    root: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    *,
    is_hinted: bool,
) -> None:
    """Where settings are read-only, the warning says how a pod gets at those of the node."""
    _refuse_writes(monkeypatch, number)

    enable_route_localnet(root)

    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert os.strerror(number) in warning.message
    assert ("--proc-sys" in warning.message) is is_hinted


def test_a_pod_s_lack_of_privileges_is_no_warning(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score gets one line that only those see who look for it."""
    _refuse_writes(monkeypatch, errno.EACCES)

    with caplog.at_level(logging.INFO):
        set_oom_score(-999, root / _OOM_SCORE)

    (score,) = caplog.records
    assert score.levelno == logging.INFO
    assert "give it the privilege SYS_RESOURCE" in score.message


def _refuse_writes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let writes fail with an error of the kernel: root may write whatever a file's mode is."""

    def refuse(_path: Path, _text: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_text", refuse)


@pytest.mark.parametrize(("text", "expected"), [("0\n", False), ("1\n", True)])
def test_whether_tcp_is_liberal(root: Path, text: str, *, expected: bool) -> None:
    """The kernel's own setting decides."""
    (root / _NETFILTER / "nf_conntrack_tcp_be_liberal").write_text(text)

    assert is_tcp_be_liberal(root) is expected


def test_tcp_is_not_liberal_if_it_cannot_be_told(tmp_path: Path) -> None:
    """A kernel without conntrack says nothing."""
    assert not is_tcp_be_liberal(tmp_path)


def test_route_localnet(root: Path) -> None:
    """It is switched on, and nothing else is touched."""
    enable_route_localnet(root)

    assert _changed(root) == {"route_localnet": "1"}


def test_oom_score(root: Path) -> None:
    """The score goes to this process, negative as it is."""
    set_oom_score(-999, root / _OOM_SCORE)

    assert _changed(root) == {"oom_score_adj": "-999"}


def test_a_refused_write_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A score that the kernel does not know changes nothing and is told with its reason."""
    before = Path("/proc/self/oom_score_adj").read_text()

    set_oom_score(100_000)

    (warning,) = caplog.records
    assert f"to 100000: {os.strerror(errno.EINVAL)}; this process may be ended" in warning.message
    assert Path("/proc/self/oom_score_adj").read_text() == before
