# SPDX-License-Identifier: Apache-2.0
"""What is told about fields and gates that are accepted without effect."""

from __future__ import annotations

import pytest

from dataplane.config.document import read_configuration
from dataplane.config.remarks import remarks_on
from tests.unit.dataplane.config.support import FILES, configuration


@pytest.mark.parametrize("name", ["kubeadm.conf", "kubeadm-1.20.conf"])
def test_defaults_are_not_remarked_on(name: str) -> None:
    """A file whose fields of other modes are empty gives nothing to say."""
    assert list(remarks_on(read_configuration(FILES / name))) == []


def test_fields_without_effect_are_told_in_one_line() -> None:
    """All fields of other modes, of Windows and of the Go client are named in one remark."""
    (remark,) = remarks_on(
        configuration(
            ipvs__scheduler="rr",
            ipvs__excludeCIDRs=["10.0.0.0/8"],
            nftables__syncPeriod="1m",
            winkernel__enableDSR=True,
            portRange="1-2",
            clientConnection__qps=9,
            clusterCIDR="10.0.0.0/8",
        )
    )

    assert remark == (
        "these fields have no effect on this agent: ipvs.scheduler, ipvs.excludeCIDRs, "
        "nftables.syncPeriod, winkernel.enableDSR, portRange, clientConnection.qps"
    )


@pytest.mark.parametrize(
    ("gate", "value", "expected"),
    [
        ("Unheard", True, "Unheard=true has no effect: this agent does not know it"),
        (
            "ProxyTerminatingEndpoints",
            False,
            "ProxyTerminatingEndpoints=false has no effect: this agent always acts as with true",
        ),
    ],
)
def test_gates_in_vain_are_told(gate: str, value: object, expected: str) -> None:
    """A gate that is unknown, or set to what this agent does not do, is warned about."""
    assert list(remarks_on(configuration(featureGates={gate: value}))) == [
        f"feature gate {expected}"
    ]


def test_gates_that_change_nothing_are_not_told() -> None:
    """A gate for what this agent does anyway, or for what it has no part in, is no news."""
    gates = {"ProxyTerminatingEndpoints": True, "AllAlpha": True, "NFTablesProxyMode": False}

    assert list(remarks_on(configuration(featureGates=gates))) == []
