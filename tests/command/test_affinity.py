# SPDX-License-Identifier: Apache-2.0
"""``--affinity-backend``: what an agent does with sets, from its start to the clean-up."""

from __future__ import annotations

import signal

import pytest

from lab import wait_until
from tests.address_plan import IPV4
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site
from tests.kernel.sets import members, set_names

_TWO_CAPABILITIES = ("setpriv", "--bounding-set=-all,+net_admin,+net_raw")


@pytest.fixture(autouse=True)
def _manifests(site: Site) -> None:
    """A Service whose clients keep their endpoint."""
    site.write("web.yaml", service(sessionAffinity="ClientIP"), endpoint_slice())


def _run(site: Site, *flags: str) -> str:
    """Let an agent program the node, and return what it wrote."""
    agent = site.start(*flags, through=_TWO_CAPABILITIES)
    agent.wait_for("synced ipv6")
    agent.end(signal.SIGTERM)
    return agent.log


def test_an_agent_uses_sets_and_keeps_them(site: Site) -> None:
    """With its two capabilities and no flag; the next agent finds the clients of the one before."""
    log = _run(site)
    (name,) = set_names(site.host)
    site.host.run(["ipset", "add", name, "203.0.113.10"])
    _run(site)

    assert "-m recent" not in log
    assert members(site.host, name) == ["203.0.113.10"]
    assert f"--add-set {name} src" in "\n".join(site.node.save(IPV4))


def test_an_agent_that_is_told_so_uses_lists(site: Site) -> None:
    """It takes over from one that used sets, and leaves none of them."""
    _run(site)
    agent = site.start("--affinity-backend=recent")
    agent.wait_for("synced ipv6")

    # For a while they stay, without clients, for those who list rules just now.
    wait_until("the sets are gone", lambda: not set_names(site.host), seconds=30)
    assert "-m recent" in "\n".join(site.node.save(IPV4))


def test_clean_up_needs_no_flag(site: Site) -> None:
    """Sets go with the rules, whatever the agent was told that comes after."""
    _run(site)
    lock = f"--lock-file={site.folder / 'agent.lock'}"

    done = site.command("cleanup", lock, "--affinity-backend=recent")

    assert done.returncode == 0, done.stderr
    assert set_names(site.host) == []


@pytest.mark.parametrize(("backend", "status"), [("auto", 0), ("ipset", 0), ("recent", 1)])
def test_a_comparison_asks_the_kernel_as_the_agent_does(
    site: Site, backend: str, status: int
) -> None:
    """There is a difference only for who would use lists."""
    _run(site)

    done = site.command(
        "diff",
        f"--manifests={site.manifests}",
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
        "--hostname-override=node-a",
        f"--affinity-backend={backend}",
    )

    assert done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [((), "-m recent"), (("--affinity-backend=ipset",), "# ipset create KUBE-AFF-")],
)
def test_a_dry_run_uses_lists_unless_told_otherwise(
    site: Site, flags: tuple[str, ...], words: str
) -> None:
    """It asks no kernel, and lists can be loaded anywhere."""
    done = site.without_privileges("dump", f"--manifests={site.manifests}", *flags)

    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert set_names(site.host) == []
