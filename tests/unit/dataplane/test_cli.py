# SPDX-License-Identifier: Apache-2.0
"""The command line around the configuration file, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dataplane.config.document import read_configuration
from tests.unit.dataplane.config.support import FILES, HEADER


def dataplane(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command ``dataplane``, ended."""
    return subprocess.run(
        [sys.executable, "-m", "dataplane", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_configuration_in_force_is_written(tmp_path: Path) -> None:
    """--write-config-to fills in defaults and what the flags say, and does nothing else."""
    written = tmp_path / "written.yaml"
    ended = dataplane(
        "run",
        "--config",
        FILES / "kubeadm.conf",
        "--hostname-override=node-a",
        "--write-config-to",
        written,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    configuration = read_configuration(written)
    assert configuration.hostname_override == "node-a"
    assert configuration.iptables.sync_period == 30.0
    assert configuration.cluster_cidr == "10.244.0.0/16,fd00:10:244::/56"


def test_dump_heeds_the_file(tmp_path: Path) -> None:
    """The dry run shows the rules of the configuration that the agent would run with."""
    config = tmp_path / "config.conf"
    config.write_text(f"{HEADER}clusterCIDR: 10.99.0.0/16\niptables: {{masqueradeBit: 7}}\n")
    manifests = tmp_path / "node.yaml"
    manifests.write_text("{apiVersion: v1, kind: Node, metadata: {name: node-a}}")
    ended = dataplane(
        "dump", "--config", config, "--hostname-override=node-a", "--manifests", manifests
    )

    assert ended.returncode == 0
    assert "--set-xmark 0x80/0x80" in ended.stdout or "--or-mark 0x80" in ended.stdout


def test_remarks_are_logged_in_the_format_asked_for(tmp_path: Path) -> None:
    """What has no effect is told on stderr, as JSON if the file says so."""
    config = tmp_path / "config.conf"
    config.write_text(f"{HEADER}logging: {{format: json}}\nipvs: {{scheduler: rr}}\n")
    ended = dataplane("run", "--config", config, "--write-config-to", tmp_path / "written")

    (line,) = ended.stderr.splitlines()
    assert json.loads(line)["msg"] == "these fields have no effect on this agent: ipvs.scheduler"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--config", "/nonexistent"], 1, "dataplane: /nonexistent: cannot be read"),
        (["--proxy-mode=nftables"], 2, "Error: --proxy-mode: 'nftables' is not supported"),
    ],
)
def test_a_wrong_configuration_ends_the_command(
    arguments: list[str], exit_code: int, message: str, tmp_path: Path
) -> None:
    """A mistake is told in a line on stderr, and nothing is written."""
    written = tmp_path / "written"
    ended = dataplane("run", *arguments, "--write-config-to", written)

    assert ended.returncode == exit_code
    assert ended.stdout == ""
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not written.exists()
