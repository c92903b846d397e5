# SPDX-License-Identifier: Apache-2.0
"""Flags as kube-proxy takes them, alone and beside a file, and what is told about wrong ones."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dataplane.config.errors import ConfigError
from dataplane.config.field_flags import FIELD_FLAGS
from dataplane.flags import Flags, decode_settings, settings_flags
from dataplane.settings import AffinityChoice, Settings
from rules.affinity import AffinityBackend
from rules.cluster_size import LargeClusterMode
from rules.context import DetectLocalMode

HEADER = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


def decode(*arguments: str) -> Settings:
    """The settings that ``arguments`` amount to; raises click.UsageError if they are wrong."""
    decoded: list[Settings] = []

    @click.command()
    @settings_flags
    def command(flags: Flags) -> None:
        decoded.append(decode_settings(flags))

    command.main(list(arguments), standalone_mode=False)
    return decoded[0]


def config_file(folder: Path, fields: str = "") -> str:
    """The flag that names a file with ``fields``."""
    path = folder / "config.conf"
    path.write_text(HEADER + fields)
    return f"--config={path}"


def test_defaults_are_kube_proxys() -> None:
    """Without flags the agent behaves as kube-proxy without flags."""
    settings = decode()

    assert settings.sync.sync_period_seconds == 30
    assert settings.sync.min_sync_period_seconds == 1
    assert settings.options.masquerade_bit == 14
    assert settings.options.localhost_node_ports
    assert not settings.options.masquerade_all
    assert settings.options.detect_local_mode is DetectLocalMode.CLUSTER_CIDR
    assert settings.source.manifests == ()
    assert settings.remarks == ()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--masquerade-all", True),
        ("--masquerade-all=true", True),
        ("--masquerade-all=false", False),
    ],
)
def test_switches_take_a_value_as_in_go(argument: str, *, expected: bool) -> None:
    """A switch may stand alone or say true or false."""
    assert decode(argument).options.masquerade_all is expected


def test_values_are_decoded() -> None:
    """Durations, networks and names become seconds, canonical networks and names."""
    settings = decode(
        "--iptables-sync-period=1m30s",
        "--iptables-min-sync-period=250ms",
        "--cluster-cidr=10.244.7.0/16,FD00::/56",
        "--hostname-override=Node-A",
        "--nodeport-addresses=192.168.0.0/24, 127.0.0.0/8",
        "--nodeport-addresses=fd00::/64",
        "--strict-source-ranges",
        "--large-cluster-mode=never",
        "--affinity-backend=ipset",
    )

    assert settings.options.large_cluster_mode is LargeClusterMode.NEVER
    assert settings.affinity is AffinityChoice.IPSET
    assert settings.options.affinity_backend is AffinityBackend.IPSET
    assert settings.sync.sync_period_seconds == 90
    assert settings.sync.min_sync_period_seconds == 0.25
    assert settings.options.cluster_cidrs == ("10.244.0.0/16", "fd00::/56")
    assert settings.source.node_name == "node-a"
    assert settings.node_port_addresses == ("192.168.0.0/24", "127.0.0.0/8", "fd00::/64")
    assert settings.options.strict_source_ranges


def test_zero_is_a_value_on_the_command_line() -> None:
    """A flag's zero or empty text counts, though in a file it would mean the default."""
    settings = decode(
        "--iptables-min-sync-period=0", "--healthz-bind-address=", "--metrics-bind-address="
    )

    assert settings.sync.min_sync_period_seconds == 0
    assert settings.servers.healthz is None
    assert settings.servers.metrics is None


def test_an_address_without_a_port_gets_the_usual_one() -> None:
    """The ports of the servers need not be given with their addresses."""
    servers = decode("--healthz-bind-address=::", "--metrics-bind-address=192.0.2.1").servers

    assert str(servers.healthz) == "[::]:10256"
    assert str(servers.metrics) == "192.0.2.1:10249"


@pytest.mark.parametrize("flag", ["--proxy-mode=", "--detect-local-mode=", "--bind-address="])
def test_an_empty_mode_or_address_is_the_default(flag: str) -> None:
    """Where kube-proxy takes an empty flag for none at all, so does this agent."""
    assert decode(flag) == decode()


def test_manifests_may_be_listed() -> None:
    """Paths may follow one --manifests or have one each."""
    expected = (Path("a"), Path("b"))

    assert decode("--manifests", "a", "b").source.manifests == expected
    assert decode("--manifests", "a", "--manifests", "b").source.manifests == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.yaml"], "unexpected argument a.yaml; is --manifests missing?"),
        (["--cluster-cidr=10.244.0.0"], "--cluster-cidr: '10.244.0.0' is not a network"),
        (["--cluster-cidr=10.244.0.0/33"], "'10.244.0.0/33' is not a network"),
        (["--cluster-cidr=10.1.0.0/16,10.2.0.0/16"], "at most one network of each family"),
        (["--iptables-masquerade-bit=32"], "--iptables-masquerade-bit: Expected `int` <= 31"),
        (["--iptables-sync-period=0s"], "--iptables-sync-period: must be longer than 0s"),
        (["--iptables-sync-period=soon"], "'soon' is not a duration such as 30s"),
        (["--iptables-min-sync-period=-1s"], "--iptables-min-sync-period: must not be negative"),
        (["--detect-local-mode=BridgeInterface"], "--pod-bridge-interface: is needed"),
        (["--detect-local-mode=InterfaceNamePrefix"], "--pod-interface-name-prefix: is needed"),
        (["--detect-local-mode=Guess"], "--detect-local-mode: 'Guess' must be one of ClusterCIDR"),
        (["--pod-bridge-interface=a-name-of-16-let"], "longer than 15 bytes"),
        (["--proxy-mode=ipvs"], "--proxy-mode: 'ipvs' is not supported"),
        (["--hostname-override= "], "--hostname-override: must be more than white space"),
        (["--feature-gates=A=true,B"], "'B' must be a gate and true or false"),
        (["--oom-score-adj=-1001"], "--oom-score-adj: Expected `int` >= -1000"),
        (["-v=much"], "'much' is not a level such as 2"),
        (["--conntrack-min=few"], "'few' is not a valid integer"),
        (["--logging-format=xml"], "--logging-format: must be one of text, json"),
    ],
)
def test_wrong_flags_are_refused(arguments: list[str], message: str) -> None:
    """What is wrong is named, with the flag that it was given to."""
    with pytest.raises(click.UsageError, match=re.escape(message)):
        decode(*arguments)


def test_all_wrong_flags_are_told_at_once() -> None:
    """An operator does not have to start the agent once for each mistake."""
    with pytest.raises(click.UsageError, match=r"--proxy-mode.*; --cluster-cidr"):
        decode("--proxy-mode=ipvs", "--cluster-cidr=everything")


def test_feature_gates_are_accepted() -> None:
    """Gates are read as Go reads them, in any number of blanks and letter cases of the value."""
    settings = decode("--feature-gates=AllAlpha=true, AllBeta=False,")

    assert settings.configuration.feature_gates == {"AllAlpha": True, "AllBeta": False}


def test_a_file_outweighs_flags_and_says_so(tmp_path: Path) -> None:
    """With --config the fields come from the file alone, and each flag in vain is named."""
    settings = decode(
        config_file(tmp_path, "clusterCIDR: 10.1.0.0/16\n"),
        "--cluster-cidr=10.2.0.0/16",
        "--masquerade-all",
    )

    assert settings.options.cluster_cidrs == ("10.1.0.0/16",)
    assert not settings.options.masquerade_all
    (remark,) = settings.remarks
    assert remark.endswith("as with kube-proxy: --cluster-cidr, --masquerade-all")


def test_some_flags_outweigh_a_file(tmp_path: Path) -> None:
    """The node's name, what is logged, the server's URL and our own flags count beside a file."""
    settings = decode(
        config_file(tmp_path, "hostnameOverride: from-file\nlogging: {verbosity: 1}\n"),
        "--hostname-override=From-Flag",
        "-v=4",
        "--logging-format=json",
        "--master=https://192.0.2.1:6443",
        "--strict-source-ranges",
    )

    assert settings.source.node_name == "from-flag"
    assert settings.logs.verbosity == 4
    assert settings.logs.is_json
    assert settings.source.master == "https://192.0.2.1:6443"
    assert settings.options.strict_source_ranges
    assert settings.remarks == ()


def test_a_wrong_field_is_told_with_its_file(tmp_path: Path) -> None:
    """A field that cannot be used is named by file and path, not by a flag."""
    flag = config_file(tmp_path, "iptables: {syncPeriod: -1s}\n")

    with pytest.raises(ConfigError, match=r"config\.conf: iptables\.syncPeriod: must be longer"):
        decode(flag)


def test_every_flag_has_help() -> None:
    """Nobody has to guess what a flag does."""
    command = click.command()(settings_flags(lambda **_: None))
    options = [option for option in command.params if isinstance(option, click.Option)]

    assert {flag.parameter for flag in FIELD_FLAGS} < {option.name for option in options}
    assert [option.name for option in options if not option.help] == []
    assert CliRunner().invoke(command, ["--help"]).exit_code == 0
