# SPDX-License-Identifier: Apache-2.0
"""``dataplane diff``: what an agent has programmed, and what is left to do."""

from __future__ import annotations

import json
import signal
from subprocess import CompletedProcess

import pytest

from tests.address_plan import IPV4
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site


@pytest.fixture(autouse=True)
def _programmed(site: Site) -> None:
    """A Service with an endpoint, as the agent programs it."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start()
    agent.wait_for("synced ipv6")
    agent.end(signal.SIGTERM)


def _diff(site: Site, *flags: str) -> CompletedProcess[str]:
    return site.command(
        "diff",
        f"--manifests={site.manifests}",
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
        "--hostname-override=node-a",
        *flags,
    )


def test_after_a_sync_there_is_no_difference(site: Site) -> None:
    """It prints nothing and ends with 0; for programs it says that all is the same."""
    done = _diff(site)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    done = _diff(site, "--output=json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"same": True, "differences": []})


def test_differences_are_printed(site: Site) -> None:
    """It ends with 1, and the kernel is left as it is."""
    site.node.iptables(IPV4, "-t", "nat", "-F", "KUBE-MARK-MASQ")
    before = site.node.save(IPV4)

    done = _diff(site)
    assert done.returncode == 1, done.stderr
    assert done.stdout == (
        "--- kernel/ipv4/nat/KUBE-MARK-MASQ\n"
        "+++ desired/ipv4/nat/KUBE-MARK-MASQ\n"
        "@@ -1 +1,2 @@\n"
        " :KUBE-MARK-MASQ\n"
        "+-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n"
    )
    assert _diff(site, "--family=ipv6").returncode == 0
    assert site.node.save(IPV4) == before


def test_differences_are_told_to_programs(site: Site) -> None:
    """As JSON, by chain."""
    site.node.iptables(IPV4, "-t", "nat", "-F", "KUBE-MARK-MASQ")

    done = _diff(site, "--output=json", "--family=ipv4")

    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)["differences"]
    assert found["chain"] == "KUBE-MARK-MASQ"
    assert found["missing"] == ["-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"]


def test_what_cannot_be_told_ends_otherwise(site: Site) -> None:
    """Without privileges, or without manifests, it ends with 2 and a sentence."""
    done = site.without_privileges("diff", f"--manifests={site.manifests}")
    assert done.returncode == 2
    assert "run it as root, or with the capabilities NET_ADMIN and NET_RAW" in done.stderr

    done = site.command("diff", "--manifests=/nonexistent")
    assert (done.returncode, done.stdout) == (2, "")
    assert "/nonexistent: no such file or folder" in done.stderr
