# SPDX-License-Identifier: Apache-2.0
"""Flags as kube-proxy takes them, and what is told about wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click
import pytest
from click.testing import CliRunner

from dataplane.flags import FlagValues, decode_settings, settings_flags
from dataplane.settings import Settings
from rules.context import DetectLocalMode


def decode(*arguments: str) -> Settings:
    """The settings that ``arguments`` amount to; raises click.UsageError if they are wrong."""
    decoded: list[Settings] = []

    @click.command()
    @settings_flags
    def command(**flags: Unpack[FlagValues]) -> None:
        decoded.append(decode_settings(**flags))

    command.main(list(arguments), standalone_mode=False)
    return decoded[0]


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
        "--strict-source-ranges",
    )

    assert settings.sync.sync_period_seconds == 90
    assert settings.sync.min_sync_period_seconds == 0.25
    assert settings.options.cluster_cidrs == ("10.244.0.0/16", "fd00::/56")
    assert settings.source.node_name == "node-a"
    assert settings.node_port_addresses == ("192.168.0.0/24", "127.0.0.0/8")
    assert settings.options.strict_source_ranges


def test_manifests_may_be_listed() -> None:
    """Paths may follow one --manifests or have one each."""
    expected = (Path("a"), Path("b"))

    assert decode("--manifests", "a", "b").source.manifests == expected
    assert decode("--manifests", "a", "--manifests", "b").source.manifests == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.yaml"], "unexpected argument a.yaml; is --manifests missing?"),
        (["--cluster-cidr=10.244.0.0"], None),
        (["--cluster-cidr=10.244.0.0/33"], "10.244.0.0/33"),
        (["--cluster-cidr=10.1.0.0/16,10.2.0.0/16"], "at most one network of each family"),
        (["--iptables-masquerade-bit=15"], "is the bit that marks packets for dropping"),
        (["--iptables-masquerade-bit=32"], "not in the range"),
        (["--iptables-sync-period=0s"], "must be longer than 0s"),
        (["--iptables-sync-period=soon"], "'soon' is not a duration such as 30s"),
        (["--iptables-min-sync-period=-1s"], "is negative"),
        (["--detect-local-mode=BridgeInterface"], "needs --pod-bridge-interface"),
        (["--detect-local-mode=InterfaceNamePrefix"], "needs --pod-interface-name-prefix"),
        (["--pod-bridge-interface=a-name-of-16-let"], "longer than 15 bytes"),
        (["--proxy-mode=ipvs"], "'ipvs'"),
    ],
)
def test_wrong_flags_are_refused(arguments: list[str], message: str | None) -> None:
    """What is wrong is named; a network without a length is that one address."""
    if message is None:
        assert decode(*arguments).options.cluster_cidrs == ("10.244.0.0/32",)
        return
    with pytest.raises(click.UsageError, match=message.replace("?", r"\?")):
        decode(*arguments)


def test_every_flag_has_help() -> None:
    """Nobody has to guess what a flag does."""
    command = click.Command("x", params=[])
    command.callback = lambda **_: None
    options = [
        parameter
        for parameter in settings_flags(command).params
        if isinstance(parameter, click.Option)
    ]

    assert len(options) > 15
    assert [option.name for option in options if not option.help] == []
    assert CliRunner().invoke(command, ["--help"]).exit_code == 0
