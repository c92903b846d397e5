# SPDX-License-Identifier: Apache-2.0
"""A cluster, as far as install.sh can see and change it.

It knows two DaemonSets and follows their node selectors as the DaemonSet controller does. Pods that
are to go stay for some looks at them, so that somebody who does not wait is found out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

KUBE_PROXY: Final = "kube-proxy"
AGENT: Final = "kube-dataplane"
LABEL: Final = "kube-dataplane/node-proxy"


@dataclass(slots=True)
class Machine:
    """A node, and the pods of both agents on it."""

    labels: dict[str, str] = field(default_factory=lambda: {"kubernetes.io/os": "linux"})
    is_ready: bool = True
    pods: dict[str, int | None] = field(default_factory=lambda: {KUBE_PROXY: None})
    """For each app None, or for how many looks a pod that has to go is still there."""


@dataclass(slots=True)
class ClusterModel:
    """What install.sh can find and change."""

    machines: dict[str, Machine]
    config: str | None = "mode: iptables"
    """Content of ``config.conf``; None if there is no ConfigMap."""
    has_kube_proxy: bool = True
    kube_proxy_selector: dict[str, str] = field(default_factory=dict)
    agent: dict[str, Any] | None = None
    """The DaemonSet as it was applied."""
    applied_kinds: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    """Verbs with resources that the operator may not use."""
    broken: dict[str, str] = field(default_factory=dict)
    """For a node, the app that never becomes ready there."""
    looks_until_gone: int = 0
    calls: list[list[str]] = field(default_factory=list)
    """All calls that changed something."""
    history: list[dict[str, list[str]]] = field(default_factory=list)
    """The apps on each node, after each change."""

    def note_change(self, call: list[str]) -> None:
        """Let pods come and go after a call that changed something."""
        self.calls.append(call)
        for machine in self.machines.values():
            self._reconcile(machine)
        self.history.append({name: sorted(one.pods) for name, one in self.machines.items()})

    def look(self, name: str, apps: list[str]) -> list[str]:
        """The lines on pods of ``apps`` on a node; those that have to go come nearer to it."""
        machine = self.machines[name]
        lines = []
        for app in [app for app in apps if app in machine.pods]:
            looks = machine.pods[app]
            if looks == 0:
                del machine.pods[app]
                continue
            if looks is not None:
                machine.pods[app] = looks - 1
            lines.append(f"{app}-{name} {self.broken.get(name) != app}")
        return lines

    def agents(self) -> dict[str, list[str]]:
        """The apps on each node."""
        return {name: sorted(machine.pods) for name, machine in self.machines.items()}

    def _reconcile(self, machine: Machine) -> None:
        wanted = {KUBE_PROXY: self._is_for_kube_proxy(machine), AGENT: self._is_for_agent(machine)}
        for app, is_wanted in wanted.items():
            if is_wanted:
                machine.pods[app] = None
            elif machine.pods.get(app, 0) is None:
                machine.pods[app] = self.looks_until_gone
                if not self.looks_until_gone:
                    del machine.pods[app]

    def _is_for_kube_proxy(self, machine: Machine) -> bool:
        selector = self.kube_proxy_selector
        return self.has_kube_proxy and selector.items() <= machine.labels.items()

    def _is_for_agent(self, machine: Machine) -> bool:
        if self.agent is None:
            return False
        spec = self.agent["spec"]["template"]["spec"]
        required = spec["affinity"]["nodeAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        ((expression,),) = (term["matchExpressions"] for term in required["nodeSelectorTerms"])
        assert expression["operator"] == "NotIn"
        is_allowed = machine.labels.get(expression["key"]) not in expression["values"]
        return is_allowed and spec["nodeSelector"].items() <= machine.labels.items()
