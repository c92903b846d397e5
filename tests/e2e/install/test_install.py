# SPDX-License-Identifier: Apache-2.0
"""install.sh there and back, on three nodes whose pods come and go as in a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from kube.programs import programs_folder
from lab import Outcome, Target
from rules import names
from tests.cluster.questions import questions
from tests.e2e.install.site import AGENT, KUBE_PROXY, InstallSite, install_site
from tests.e2e.plan import NODES

_CANARY = "KUBE-PROXY-CANARY"
_PAUSE_SECONDS = 0.02
"""Between two questions to one target: kubelets and kubectl need the processor as well."""
_ONLY_OURS = (names.LOAD_BALANCER_PREFIX, f"-j {names.MARK_DROP}")
"""Without source ranges kube-proxy has neither; the chain itself is kubelet's, too."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def site() -> Iterator[InstallSite]:
    """A cluster that kube-proxy serves."""
    with install_site(programs_folder()) as site:
        yield site


def _everywhere(agent: str) -> dict[str, list[str]]:
    return {node.name: [agent] for node in NODES}


def _rules_with(site: InstallSite, text: str) -> dict[str, list[str]]:
    found = {name: [one for one in rules if text in one] for name, rules in site.rules().items()}
    return {name: rules for name, rules in found.items() if rules}


def _install_under_load(
    site: InstallSite, *arguments: str
) -> tuple[CompletedProcess[str], dict[Target, list[Outcome]]]:
    """Run the script while the Service is asked for; returns which connections failed."""
    with questions(site.cluster.client, site.targets, _PAUSE_SECONDS) as asked:
        done = site.install(*arguments)
    return done, {one.target: one.failures for one in asked if one.failures}


def test_an_agent_that_does_not_start(site: InstallSite) -> None:
    """The first node gets kube-proxy back, the others are left alone, and no connection fails."""
    done, failures = _install_under_load(site, *site.failing)

    assert done.returncode == 1
    assert f"{NODES[0].name} has {KUBE_PROXY} again" in done.stderr
    assert failures == {}
    site.wait_for(KUBE_PROXY)
    site.wait_until_followed()


def test_kube_proxy_is_replaced(site: InstallSite) -> None:
    """Each node gets the agent, kube-proxy and its layout are gone, and no connection fails."""
    done, failures = _install_under_load(site, *site.replacing)

    assert done.returncode == 0, done.stderr
    assert failures == {}
    assert site.agents() == _everywhere(AGENT)
    assert site.images() == {site.image}
    assert _rules_with(site, _CANARY) == {}
    for text in _ONLY_OURS:
        assert _rules_with(site, text).keys() == _everywhere(AGENT).keys()
    site.wait_until_followed()


def test_the_way_back(site: InstallSite) -> None:
    """Each node gets kube-proxy, the agent and its layout are gone, and no connection fails."""
    if site.agents() != _everywhere(AGENT):
        site.install(*site.replacing)

    done, failures = _install_under_load(site, "--back")

    assert done.returncode == 0, done.stderr
    assert failures == {}
    site.wait_for(KUBE_PROXY)
    assert _rules_with(site, _CANARY).keys() == _everywhere(KUBE_PROXY).keys()
    for text in _ONLY_OURS:
        assert _rules_with(site, text) == {}
    assert site.daemonsets() == {KUBE_PROXY: {"kubernetes.io/os": "linux"}}
    assert site.labelled_nodes() == set()
    site.wait_until_followed()
