# SPDX-License-Identifier: Apache-2.0
"""A configuration file that changes under a running agent."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab import wait_until
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import AgentProcess, Site


class ConfigMapVolume:
    """A file as a kubelet mounts it: a new version is a folder that a symbolic link moves to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions = 0
        folder.mkdir()
        self.file = folder / "config.conf"
        self.file.symlink_to("..data/config.conf")

    def write(self, **fields: object) -> None:
        """Put another version in the file's place."""
        self._versions += 1
        version = self._folder / f"..version-{self._versions}"
        version.mkdir()
        content = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clusterCIDR": "10.244.0.0/16,fd00:10:244::/48",
            "conntrack": {"maxPerCore": 0},
            **fields,
        }
        (version / "config.conf").write_text(yaml.safe_dump(content), encoding="utf-8")
        link = self._folder / "..data_new"
        link.symlink_to(version.name)
        link.rename(self._folder / "..data")


@pytest.fixture
def volume(tmp_path: Path) -> ConfigMapVolume:
    """A configuration in its first version."""
    volume = ConfigMapVolume(tmp_path / "kube-proxy")
    volume.write()
    return volume


@pytest.fixture
def agent(site: Site, volume: ConfigMapVolume) -> AgentProcess:
    """An agent that has programmed its first rules as the file says."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start(f"--config={volume.file}")
    agent.wait_for("synced ipv6")
    return agent


def test_another_configuration_ends_the_agent(
    site: Site, volume: ConfigMapVolume, agent: AgentProcess
) -> None:
    """It ends as failed, so that it is started again, and all that it programmed stays."""
    volume.write(iptables={"masqueradeBit": 15})

    assert agent.exit_code() == 1
    assert f"{volume.file} was changed" in agent.log
    assert site.destinations == {"10.244.1.2:8080"}


def test_the_same_configuration_is_no_change(
    site: Site, volume: ConfigMapVolume, agent: AgentProcess
) -> None:
    """A file that cannot be used, or says the same in other words, changes nothing."""
    volume.write(iptables={"masqueradeBit": 99})
    agent.wait_for("the configuration in force stays: ")
    assert "masqueradeBit" in agent.log
    volume.write(mode="", iptables={"masqueradeBit": 14})
    site.write("web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    site.wait_for_destinations("10.244.1.3:8080")

    # It is told again only if the version before was read.
    volume.write(iptables={"masqueradeBit": 99})
    wait_until("told twice", lambda: len(agent.log_lines_with("in force stays")) == 2)
    assert agent.is_running
