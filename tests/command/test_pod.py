# SPDX-License-Identifier: Apache-2.0
"""The agent as a container runtime starts it: with the rights of the DaemonSet, and no others."""

from __future__ import annotations

from typing import Final

import pytest

from lab import wait_until
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site
from tests.shipping.container import in_container
from tests.shipping.places import agent_container, agent_host_paths

_DESTINATION: Final = "10.244.1.2:8080"
_OF_THE_KERNEL: Final = {
    "net.ipv4.conf.all.route_localnet": "0",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": "60",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "432000",
    "net.netfilter.nf_conntrack_udp_timeout": "30",
}
_WANTED: Final = {
    "net.ipv4.conf.all.route_localnet": "1",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": "3600",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "86400",
    "net.netfilter.nf_conntrack_udp_timeout": "33",
}
_UDP_TIMEOUT: Final = "--conntrack-udp-timeout=33s"
"""The others have defaults."""


@pytest.fixture(autouse=True)
def _settings(site: Site) -> None:
    """The kernel's own settings, and something to program."""
    for key, value in _OF_THE_KERNEL.items():
        site.host.set_sysctl(key, value)
    site.write("web.yaml", service(), endpoint_slice())


def _made(site: Site) -> dict[str, str]:
    return {key: site.host.sysctl(key) for key in _OF_THE_KERNEL}


def _container(site: Site, *, with_settings: bool) -> list[str]:
    mounts = {
        inside: outside
        for inside, outside in agent_host_paths().items()
        if outside.startswith("/proc/") and with_settings
    }
    site.host.lock_file.touch()
    own = (site.folder, site.host.lock_file)
    shared = {str(path): str(path) for path in own}
    security = agent_container()["securityContext"]
    return in_container(site.folder / "container", security, mounts | shared)


def _place_of_settings() -> str:
    (flag,) = [one for one in agent_container()["args"] if one.startswith("--proc-sys=")]
    return str(flag)


def test_the_pod_makes_the_settings_of_the_node(site: Site) -> None:
    """Its two capabilities and its mounts are enough for all settings of the node's network."""
    container = _container(site, with_settings=True)

    agent = site.start(_UDP_TIMEOUT, _place_of_settings(), through=container)

    site.wait_for_destinations(_DESTINATION)
    wait_until("the settings are made", lambda: _made(site) == _WANTED)
    assert agent.log_lines_with("cannot set") == agent.log_lines_with("privilege SYS_RESOURCE")
    # Else it would have had more rights than the pod has.
    assert agent.log_lines_with("privilege SYS_RESOURCE")


def test_without_that_mount_a_pod_cannot_make_them(site: Site) -> None:
    """A pod's own /proc/sys is read-only: each setting is a warning, and services are served."""
    container = _container(site, with_settings=False)

    agent = site.start(_UDP_TIMEOUT, through=container)

    site.wait_for_destinations(_DESTINATION)
    agent.wait_for("cannot set /proc/sys/net/ipv4/conf/all/route_localnet to 1")
    assert len(agent.log_lines_with("WARN", "Read-only file system", "--proc-sys")) == len(_WANTED)
    assert _made(site) == _OF_THE_KERNEL
