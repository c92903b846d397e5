# SPDX-License-Identifier: Apache-2.0
"""Where clients are remembered, by what the operator says and what the kernel has."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from dataplane.affinity import with_affinity_of_kernel
from dataplane.errors import KernelUnusableError
from dataplane.settings import AffinityChoice, Settings, SourceSettings
from rules.affinity import AffinityBackend
from rules.ir import Family
from tests.address_plan import THIS_NODE
from tests.kernel.node import KernelNode
from tests.kernel.privileges import without_privileges


def _settings(choice: AffinityChoice) -> Settings:
    return Settings(source=SourceSettings(node_name=THIS_NODE), affinity=choice)


@pytest.mark.parametrize(
    ("choice", "backend"),
    [
        (AffinityChoice.AUTO, AffinityBackend.IPSET),
        (AffinityChoice.IPSET, AffinityBackend.IPSET),
        (AffinityChoice.RECENT, AffinityBackend.RECENT),
    ],
)
def test_sets_are_used_unless_lists_are_asked_for(
    lone_node: KernelNode, choice: AffinityChoice, backend: AffinityBackend
) -> None:
    """A kernel that has sets is a reason to use them."""
    with lone_node.host.entered():
        found = with_affinity_of_kernel(_settings(choice), Family)

    assert found == replace(
        _settings(choice), options=replace(found.options, affinity_backend=backend)
    )


def test_lists_are_used_where_there_are_no_sets(
    lone_node: KernelNode, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning says why, and what that means."""
    with lone_node.host.entered(), without_privileges(), caplog.at_level(logging.WARNING):
        found = with_affinity_of_kernel(_settings(AffinityChoice.AUTO), Family)

    assert found.options.affinity_backend is AffinityBackend.RECENT
    (record,) = caplog.records
    assert "Operation not permitted; session affinity uses -m recent" in record.getMessage()


def test_who_insists_on_sets_is_told_what_is_missing(lone_node: KernelNode) -> None:
    """The agent does not start in another way than it was told to."""
    with (
        lone_node.host.entered(),
        without_privileges(),
        pytest.raises(KernelUnusableError, match="leave out --affinity-backend=ipset"),
    ):
        with_affinity_of_kernel(_settings(AffinityChoice.IPSET), Family)
