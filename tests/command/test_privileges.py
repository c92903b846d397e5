# SPDX-License-Identifier: Apache-2.0
"""What works without privileges, and what says that it needs them."""

from __future__ import annotations

import json

import pytest

from tests.address_plan import PLANS
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site


@pytest.fixture(autouse=True)
def _manifests(site: Site) -> None:
    """A Service with an endpoint."""
    site.write("web.yaml", service(), endpoint_slice())


def _dump(site: Site, *flags: str) -> str:
    done = site.without_privileges("dump", f"--manifests={site.manifests}", *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_dry_run_in_the_form_of_iptables_save(site: Site) -> None:
    """Without any privilege ``dump`` prints tables that the legacy tool would load."""
    text = _dump(site)

    assert "--to-destination 10.244.1.2:8080" in text
    site.host.run(["iptables-legacy-restore", "--test"], stdin=text)


def test_a_dry_run_as_a_listing(site: Site) -> None:
    """``--output list`` prints chains as ``iptables -nvL`` does."""
    text = _dump(site, "--output=list")

    assert "Chain KUBE-SERVICES" in text
    assert "to:10.244.1.2:8080" in text


def test_a_dry_run_for_programs(site: Site) -> None:
    """``--output json`` prints both families as one JSON document."""
    families = json.loads(_dump(site, "--output=json", "--family=all"))

    assert set(families) == {"ipv4", "ipv6"}
    assert "10.244.1.2" in json.dumps(families["ipv4"])


def test_a_dry_run_touches_no_kernel(site: Site) -> None:
    """Even with all privileges ``dump`` leaves the kernel as it is."""
    done = site.command("dump", f"--manifests={site.manifests}")

    assert done.returncode == 0, done.stderr
    assert not site.has_rules


@pytest.mark.parametrize("command", ["run", "cleanup"])
def test_programming_needs_privileges(site: Site, command: str) -> None:
    """``run`` and ``cleanup`` say in one line what they lack, exit with 1 and change nothing."""
    before = {plan: site.node.save(plan) for plan in PLANS}

    done = site.without_privileges(command, f"--manifests={site.manifests}", _lock(site))

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("dataplane: cannot read the ipv4 table")
    assert line.endswith("run it as root, or with the capabilities NET_ADMIN and NET_RAW")
    assert {plan: site.node.save(plan) for plan in PLANS} == before


def _lock(site: Site) -> str:
    """A lock file that only root could create: not what the user has to hear of first."""
    folder = site.folder / "read-only"
    folder.mkdir(mode=0o555)
    return f"--lock-file={folder / 'agent.lock'}"
