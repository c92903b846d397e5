# SPDX-License-Identifier: Apache-2.0
"""What is refused although it can be decoded; ranges of numbers are tested with the document."""

from __future__ import annotations

import pytest

from dataplane.config.checks import problems_of
from dataplane.config.document import read_configuration
from dataplane.config.errors import Problem
from tests.unit.dataplane.config.support import FILES, configuration


@pytest.mark.parametrize("name", ["kubeadm.conf", "kubeadm-1.20.conf", "every-field.yaml"])
def test_usable_files_are_accepted(name: str) -> None:
    """What kubeadm writes, or says something sensible in every field, has no problems."""
    assert list(problems_of(read_configuration(FILES / name))) == []


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"mode": "ipvs"}, "mode", "'ipvs' is not supported: this agent programs iptables"),
        ({"mode": "nftables"}, "mode", "'nftables' is not supported"),
        ({"mode": "kernelspace"}, "mode", "'kernelspace' is not supported"),
        ({"iptables__syncPeriod": "0s"}, "iptables.syncPeriod", "must be longer than 0s"),
        ({"iptables__minSyncPeriod": "-1s"}, "iptables.minSyncPeriod", "must not be negative"),
        (
            {"iptables__minSyncPeriod": "31s"},
            "iptables.minSyncPeriod",
            "must not be longer than iptables.syncPeriod, 30s",
        ),
        ({"configSyncPeriod": "0s"}, "configSyncPeriod", "must be longer than 0s"),
        ({"bindAddress": "10.0.0.1:80"}, "bindAddress", "is not an IP address"),
        ({"healthzBindAddress": "192.0.2.1"}, "healthzBindAddress", "an IP address and a port"),
        ({"metricsBindAddress": ":80"}, "metricsBindAddress", "an IP address and a port"),
        ({"clusterCIDR": "10.0.0.0"}, "clusterCIDR", "is not a network"),
        (
            {"clusterCIDR": "10.0.0.0/8,fd00::/8,fd01::/16"},
            "clusterCIDR",
            "at most one network of each family",
        ),
        ({"nodePortAddresses": ["192.0.2.1"]}, "nodePortAddresses", "is not a network"),
        (
            {"nodePortAddresses": ["192.0.2.0/24", "primary"]},
            "nodePortAddresses",
            "cannot have both 'primary' and networks",
        ),
        ({"detectLocalMode": "nodecidr"}, "detectLocalMode", "must be one of ClusterCIDR, NodeC"),
        (
            {"detectLocalMode": "BridgeInterface"},
            "detectLocal.bridgeInterface",
            "is needed by detectLocalMode BridgeInterface",
        ),
        (
            {"detectLocalMode": "InterfaceNamePrefix"},
            "detectLocal.interfaceNamePrefix",
            "is needed by detectLocalMode InterfaceNamePrefix",
        ),
        (
            {"detectLocal__interfaceNamePrefix": "a-name-of-16-let"},
            "detectLocal.interfaceNamePrefix",
            "is longer than 15 bytes",
        ),
        (
            {"conntrack__tcpEstablishedTimeout": "-1s"},
            "conntrack.tcpEstablishedTimeout",
            "must not be negative",
        ),
        (
            {"conntrack__tcpCloseWaitTimeout": "-1s"},
            "conntrack.tcpCloseWaitTimeout",
            "must not be negative",
        ),
        ({"conntrack__udpTimeout": "-1s"}, "conntrack.udpTimeout", "must not be negative"),
        (
            {"conntrack__udpStreamTimeout": "-1s"},
            "conntrack.udpStreamTimeout",
            "must not be negative",
        ),
        ({"logging__format": "xml"}, "logging.format", "must be one of text, json"),
        ({"hostnameOverride": "\t"}, "hostnameOverride", "must be more than white space"),
    ],
)
def test_what_cannot_be_used_is_a_problem(
    fields: dict[str, object], path: str, reason: str
) -> None:
    """Each problem has the path of the one field that is wrong, and says why."""
    (problem,) = problems_of(configuration(**fields))

    assert problem.path == path
    assert reason in problem.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"iptables__minSyncPeriod": "0s"},
        {"healthzBindAddress": ""},
        {"metricsBindAddress": ""},
        {"bindAddress": "fd00::1"},
        {"clusterCIDR": "fd00::/8, 10.0.0.0/8"},
        {"clusterCIDR": "anything", "detectLocalMode": "NodeCIDR"},
        {"nodePortAddresses": ["primary"]},
        {"nodePortAddresses": ["10.0.0.1/8", "::/0"]},
        {"conntrack__tcpEstablishedTimeout": "0s"},
        {"logging__format": "json"},
    ],
)
def test_what_kube_proxy_takes_is_no_problem(fields: dict[str, object]) -> None:
    """Zeros that switch something off, host bits and what no mode looks at are accepted."""
    assert list(problems_of(configuration(**fields))) == []


def test_a_problem_names_its_field() -> None:
    """A problem of one field begins with its path, one of the whole document with the reason."""
    assert str(Problem("a.b", "is wrong")) == "a.b: is wrong"
    assert str(Problem("", "is wrong")) == "is wrong"
