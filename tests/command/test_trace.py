# SPDX-License-Identifier: Apache-2.0
"""``dataplane trace``: by the desired rules without privileges, by the kernel's with them."""

from __future__ import annotations

import json
import signal
from subprocess import CompletedProcess
from typing import Any, Final

import pytest

from tests.address_plan import IPV4
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site

_PACKET: Final = ("--from=10.244.1.7", "--to=10.96.0.10:80/tcp")
_LIVE: Final = "--rules=live"


@pytest.fixture(autouse=True)
def _manifests(site: Site) -> None:
    """A Service with an endpoint."""
    site.write("web.yaml", service(), endpoint_slice())


@pytest.fixture
def _programmed(site: Site) -> None:
    """The same, as the agent programs it."""
    agent = site.start()
    agent.wait_for("synced ipv6")
    agent.end(signal.SIGTERM)


def _json(done: CompletedProcess[str]) -> Any:  # noqa: ANN401 - a document of any form
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_desired_rules_are_followed_by_anybody(site: Site) -> None:
    """Without any privilege, and whatever the kernel has."""
    done = site.without_privileges("trace", f"--manifests={site.manifests}", *_PACKET)

    assert done.returncode == 0, done.stderr
    assert "100.00%  sent to endpoint 10.244.1.2:8080, its source unchanged" in done.stdout


@pytest.mark.usefixtures("_programmed")
def test_the_rules_of_the_kernel_are_followed(site: Site) -> None:
    """They need no manifests, and say the same."""
    flags = (f"--manifests={site.manifests}", "--cluster-cidr=10.244.0.0/16")
    desired = _json(site.command("trace", *flags, *_PACKET, "--output=json"))
    live = _json(site.command("trace", _LIVE, *_PACKET, "--output=json"))

    assert live == desired
    assert live["paths"][0]["endpoint"] == "10.244.1.2:8080"


@pytest.mark.usefixtures("_programmed")
def test_what_the_kernel_lacks_is_told_if_manifests_are_named(site: Site) -> None:
    """An endpoint that came after the agent's end is in no rule."""
    site.write(
        "web.yaml", service(), endpoint_slice(), endpoint_slice("web-2", address="10.244.1.3")
    )
    found = _json(
        site.command("trace", _LIVE, f"--manifests={site.manifests}", *_PACKET, "--output=json")
    )

    assert found["absent"] == [
        {"servicePort": "default/web", "endpoint": "10.244.1.3:8080", "reason": "notInRules"}
    ]


@pytest.mark.usefixtures("_programmed")
def test_a_rule_that_is_not_understood_ends_the_trace(site: Site) -> None:
    """With 1 and a line that names the rule; nothing is guessed."""
    site.node.iptables(IPV4, "-I", "FORWARD", "-o", "br0", "-j", "DROP")
    done = site.command("trace", _LIVE, *_PACKET)

    assert (done.returncode, done.stdout) == (1, "")
    assert "stopped at rule 1 of chain FORWARD in filter" in done.stderr
    assert "output interface br0" in done.stderr


def test_a_missing_interface_is_asked_for(site: Site) -> None:
    """By the flag that names it; with it the trace goes on."""
    flags = (
        f"--manifests={site.manifests}",
        "--detect-local-mode=InterfaceNamePrefix",
        "--pod-interface-name-prefix=veth",
    )
    done = site.command("trace", *flags, *_PACKET)
    assert done.returncode == 1
    assert "name it with --in-interface NAME" in done.stderr

    for interface, words in (("veth7", "its source unchanged"), ("eth0", "masqueraded")):
        done = site.command("trace", *flags, *_PACKET, f"--in-interface={interface}")
        assert words in done.stdout


def test_live_rules_need_privileges(site: Site) -> None:
    """A sentence says which."""
    done = site.without_privileges("trace", _LIVE, *_PACKET)

    assert done.returncode == 1
    assert "run it as root, or with the capabilities NET_ADMIN and NET_RAW" in done.stderr
