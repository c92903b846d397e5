# SPDX-License-Identifier: Apache-2.0
"""install.sh there and back, on three nodes whose pods come and go as in a real cluster.

In between, what hack/docs tells to type into kubectl.
"""

from __future__ import annotations

from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from kube.programs import programs_folder
from lab import Outcome, Target
from rules import names
from tests.cluster.questions import questions
from tests.command.terminal import in_terminal
from tests.docs.console import sections, type_in
from tests.docs.elsewhere import is_kubectl
from tests.docs.guides import GUIDES, guide
from tests.docs.markdown import Command
from tests.e2e.install.site import AGENT, KUBE_PROXY, InstallSite, install_site
from tests.e2e.plan import NODES

_CANARY = "KUBE-PROXY-CANARY"
_PAUSE_SECONDS = 0.02
"""Between two questions to one target: kubelets and kubectl need the processor as well."""
_ONLY_OURS = (names.LOAD_BALANCER_PREFIX, f"-j {names.MARK_DROP}")
"""Without source ranges kube-proxy has neither; the chain itself is kubelet's, too."""
_KUBECTL = [one for name in GUIDES for one in guide(name).commands() if is_kubectl(one)]
_TROUBLESHOOTING = {one.heading: one for one in sections(guide("hack/docs/troubleshooting.md"))}
_TERMINAL_SECONDS = 30.0

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("install")]


@pytest.fixture(scope="module")
def site() -> Iterator[InstallSite]:
    """A cluster that kube-proxy serves."""
    with install_site(programs_folder()) as site:
        yield site


def _is_terminal(command: Command) -> bool:
    return is_kubectl(command) and " exec " in command.line


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


@pytest.fixture
def replaced(site: InstallSite) -> InstallSite:
    """The same with the agent in kube-proxy's place."""
    if site.agents() != _everywhere(AGENT):
        site.install(*site.replacing)
    return site


def test_kubectl_prints_what_is_shown(replaced: InstallSite) -> None:
    """Each command of hack/docs for kubectl is run here, but for the one below."""
    type_in(
        [one for one in _KUBECTL if not _is_terminal(one)],
        inside=["ip", "netns", "exec", replaced.operator.namespace],
        environment=replaced.environment,
    )


def test_commands_work_in_the_pod(replaced: InstallSite) -> None:
    """What hack/docs tells to type into a pod gives the agent's commands all that they need."""
    section = _TROUBLESHOOTING["Before you begin"]
    ((number, enter),) = [pair for pair in enumerate(section.commands) if _is_terminal(pair[1])]
    inside = [one for one in section.commands[number:] if one.needs_root]

    assert inside
    with in_terminal(replaced.operator, replaced.command("bash", "-c", enter.line)) as terminal:
        terminal.wait_for("# ", _TERMINAL_SECONDS)
        for one in inside:
            terminal.type(f"{one.line}\n")
        terminal.type("test -s $LOCK && dataplane diff $FLAGS; echo ended with $?\n")
        terminal.wait_for("ended with 0", _TERMINAL_SECONDS)
        terminal.type("dataplane services $FLAGS --interval 0\n")
        terminal.wait_for("served/web", _TERMINAL_SECONDS)
        terminal.type("exit\n")
        assert terminal.end() == 0


def test_the_way_back(replaced: InstallSite) -> None:
    """Each node gets kube-proxy, the agent and its layout are gone, and no connection fails."""
    site = replaced

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
