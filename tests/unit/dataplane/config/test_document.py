# SPDX-License-Identifier: Apache-2.0
"""Reading and writing configuration files, and what is told about unreadable ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dataplane.config.defaults import with_defaults
from dataplane.config.document import (
    configz,
    decode,
    read_configuration,
    to_document,
    write_configuration,
)
from dataplane.config.errors import ConfigError
from dataplane.config.types import KubeProxyConfiguration
from dataplane.errors import DataplaneError
from tests.unit.dataplane.config.support import FILES, HEADER


def read(tmp_path: Path, text: str) -> KubeProxyConfiguration:
    """The configuration in a file ``config.conf`` with ``text``."""
    path = tmp_path / "config.conf"
    path.write_text(text)
    return read_configuration(path)


def test_every_field_of_v1alpha1_is_read_and_written() -> None:
    """A document with a value of its own in every field is the same after reading and writing."""
    document = yaml.safe_load((FILES / "every-field.yaml").read_text())

    assert to_document(read_configuration(FILES / "every-field.yaml")) == document


def test_the_file_with_every_field_leaves_none_out() -> None:
    """The test above would not notice a field that its file lacks, so no value may be a default."""
    given = to_document(read_configuration(FILES / "every-field.yaml"))
    defaults = to_document(with_defaults(KubeProxyConfiguration()))

    same = [
        f"{name}.{inner}" if inner else name
        for name, value in given.items()
        for inner, (one, other) in (
            {key: (item, defaults[name].get(key)) for key, item in value.items()}
            if isinstance(value, dict)
            else {"": (value, defaults[name])}
        ).items()
        if one == other
    ]
    assert same == ["apiVersion", "kind", "mode"]


@pytest.mark.parametrize("name", ["kubeadm.conf", "kubeadm-1.20.conf"])
def test_null_and_empty_fields_are_the_same_as_none(name: str, tmp_path: Path) -> None:
    """What kubeadm writes amounts to defaults, but for the kubeconfig and the pods' networks."""
    configuration = read_configuration(FILES / name)
    short = read(
        tmp_path,
        f"{HEADER}clusterCIDR: {configuration.cluster_cidr}\n"
        "clientConnection: {kubeconfig: /var/lib/kube-proxy/kubeconfig.conf}\n",
    )

    assert configuration == short


def test_a_whole_section_may_be_null(tmp_path: Path) -> None:
    """A section without content is the same as no section."""
    assert read(tmp_path, f"{HEADER}iptables:\nlogging:\n") == read(tmp_path, HEADER)


def test_json_is_read(tmp_path: Path) -> None:
    """A file may be JSON, as kube-proxy's may."""
    text = (
        '{"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",'
        ' "iptables": {"syncPeriod": "1m"}}'
    )

    assert read(tmp_path, text).iptables.sync_period == 60.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("clusterCidr: 10.0.0.0/8", "clusterCidr: unknown field"),
        ("unknown: null", "unknown: unknown field"),
        ("iptables: {syncperiod: 1s}", "iptables.syncperiod: unknown field"),
        ("iptables: {syncperiod: null}", "iptables.syncperiod: unknown field"),
        ("logging: {options: {json: {size: 1}}}", "logging.options.json.size: unknown field"),
        ("1: 2", "1: unknown field"),
        ("iptables: {syncPeriod: 30}", "iptables.syncPeriod: 30 is not a duration"),
        ("conntrack: {udpTimeout: soon}", "conntrack.udpTimeout: 'soon' is not a duration"),
        ("iptables: {masqueradeBit: 32}", "iptables.masqueradeBit: Expected `int` <= 31"),
        ("iptables: {masqueradeAll: 1}", "iptables.masqueradeAll: Expected `bool`, got `int`"),
        ("iptables: [1]", "iptables: Expected `object`, got `array`"),
        ("hostnameOverride: 12", "hostnameOverride: Expected `str`, got `int`"),
        ("nodePortAddresses: [null]", "nodePortAddresses[0]: Expected `str`, got `null`"),
        ("oomScoreAdj: 1001", "oomScoreAdj: Expected `int` <= 1000"),
        ("conntrack: {maxPerCore: -1}", "conntrack.maxPerCore: Expected `int` >= 0"),
        ("featureGates: {A: 1}", "featureGates[...]: Expected `bool`, got `int`"),
        ("mode: iptables\nmode: ipvs", "line 4: 'mode' stands twice"),
        ("iptables: {syncPeriod: 1s, syncPeriod: 2s}", "'syncPeriod' stands twice"),
        ("mode: [", "is not valid YAML or JSON: line 4: expected"),
        ("---\nmode: iptables", "line 3: but found another document"),
    ],
)
def test_a_wrong_field_is_told_by_file_and_path(fields: str, message: str, tmp_path: Path) -> None:
    """The message says in which file, at which path, and what is wrong there."""
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, f"{HEADER}{fields}\n")

    assert str(raised.value).startswith(f"{tmp_path}/config.conf: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a KubeProxyConfiguration: expected a mapping, got None"),
        ({}, "apiVersion: must be kubeproxy.config.k8s.io/v1alpha1, not None"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "apiVersion: must be"),
        (
            {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "Kubelet"},
            "kind: must be KubeProxyConfiguration, not 'Kubelet'",
        ),
    ],
)
def test_another_kind_of_document_is_refused(content: object, message: str) -> None:
    """Only a KubeProxyConfiguration of the version that this agent knows is taken."""
    with pytest.raises(ConfigError, match=message):
        decode(content, "here")


def test_a_missing_file_is_told_in_one_line(tmp_path: Path) -> None:
    """The message names the file, the reason and the flag to check."""
    with pytest.raises(ConfigError) as raised:
        read_configuration(tmp_path / "none")

    expected = f"{tmp_path}/none: cannot be read: No such file or directory; check --config"
    assert str(raised.value) == expected


def test_what_is_written_is_read_as_the_same(tmp_path: Path) -> None:
    """A written file amounts to the configuration that it was written from."""
    configuration = read_configuration(FILES / "every-field.yaml")
    write_configuration(configuration, tmp_path / "written")

    assert read_configuration(tmp_path / "written") == configuration


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The message names the file, the reason and the flag to check."""
    with pytest.raises(DataplaneError, match=r"Is a directory; check --write-config-to"):
        write_configuration(KubeProxyConfiguration(), tmp_path)


def test_configz_stands_under_the_api_group() -> None:
    """The answer of /configz has kube-proxy's outer form, with the document inside."""
    configuration = read_configuration(FILES / "kubeadm.conf")

    assert configz(configuration) == {"kubeproxy.config.k8s.io": to_document(configuration)}
