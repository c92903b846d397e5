# SPDX-License-Identifier: Apache-2.0
"""The agent as a container runtime starts it: with the rights of the DaemonSet, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from lab import wait_until
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site
from tests.shipping.places import agent_container, agent_host_paths

_DESTINATION: Final = "10.244.1.2:8080"
_OF_THE_KERNEL: Final = {
    "net.ipv4.conf.all.route_localnet": "0",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "432000",
    "net.netfilter.nf_conntrack_udp_timeout": "30",
}
_WANTED: Final = {
    "net.ipv4.conf.all.route_localnet": "1",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "86400",
    "net.netfilter.nf_conntrack_udp_timeout": "33",
}
_FLAGS: Final = ("--conntrack-tcp-timeout-established=24h", "--conntrack-udp-timeout=33s")
_MAKE_CONTAINER: Final = """
while [ "$1" != -- ]; do
  mkdir -p "$2"
  mount --bind "$1" "$2"
  shift 2
done
shift
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec "$@"
"""
"""Takes pairs of a node's path and the container's, ``--``, and the command to become."""


@pytest.fixture(autouse=True)
def _settings(site: Site) -> None:
    """The kernel's own settings, and something to program."""
    for key, value in _OF_THE_KERNEL.items():
        site.host.set_sysctl(key, value)
    site.write("web.yaml", service(), endpoint_slice())


def _made(site: Site) -> dict[str, str]:
    return {key: site.host.sysctl(key) for key in _OF_THE_KERNEL}


def _container(root: Path, *, with_settings: bool) -> list[str]:
    """What makes a container of the lab's machine; its own paths are below ``root``."""
    rights = agent_container()["securityContext"]
    assert rights["allowPrivilegeEscalation"] is False
    capabilities = [f"+{name.lower()}" for name in rights["capabilities"]["add"]]
    mounts = [
        path
        for inside, outside in agent_host_paths().items()
        if outside.startswith("/proc/") and with_settings
        for path in (outside, f"{root}{inside}")
    ]
    make = ["unshare", "--mount", "--propagation=private", "bash", "-euc", _MAKE_CONTAINER, "make"]
    drop = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"]
    bounding_set = ",".join(["--bounding-set=-all", *capabilities])
    return [*make, *mounts, "--", *drop, bounding_set]


def _place_of_settings(root: Path) -> str:
    """The argument that says where the container has the node's settings."""
    (flag,) = [one for one in agent_container()["args"] if one.startswith("--proc-sys=")]
    name, _, inside = flag.partition("=")
    return f"{name}={root}{inside}"


def test_the_pod_makes_the_settings_of_the_node(site: Site, tmp_path: Path) -> None:
    """Its two capabilities and its mounts are enough for all settings of the node's network."""
    container = _container(tmp_path, with_settings=True)

    agent = site.start(*_FLAGS, _place_of_settings(tmp_path), through=container)

    site.wait_for_destinations(_DESTINATION)
    wait_until("the settings are made", lambda: _made(site) == _WANTED)
    assert agent.log_lines_with("cannot set") == agent.log_lines_with("privilege SYS_RESOURCE")
    # Else it would have had more rights than the pod has.
    assert agent.log_lines_with("privilege SYS_RESOURCE")


def test_without_that_mount_a_pod_cannot_make_them(site: Site, tmp_path: Path) -> None:
    """A pod's own /proc/sys is read-only: each setting is a warning, and services are served."""
    container = _container(tmp_path, with_settings=False)

    agent = site.start(*_FLAGS, through=container)

    site.wait_for_destinations(_DESTINATION)
    agent.wait_for("cannot set /proc/sys/net/ipv4/conf/all/route_localnet to 1")
    assert len(agent.log_lines_with("WARN", "Read-only file system", "--proc-sys")) == len(_WANTED)
    assert _made(site) == _OF_THE_KERNEL
