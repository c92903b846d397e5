# SPDX-License-Identifier: Apache-2.0
"""The two programs that can serve a node: the installed agent, and kube-proxy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Final

from kube.control_plane import AGENT, KUBE_PROXY, ControlPlane
from lab import Host

NODE_NAME: Final = "node-a"
INSTALLED: Final = (str(Path(sys.executable).with_name("dataplane")),)
"""The command of the agent."""

_CLUSTER_CIDR: Final = "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"
_IPTABLES: Final = ("iptables", "iptables-save", "iptables-restore")


class Proxies:
    """Starts either program on one node. Both write to a log of their own."""

    def __init__(
        self,
        node: Host,
        control_plane: ControlPlane,
        programs: Path,
        folder: Path,
        *,
        name: str = NODE_NAME,
        agent: Sequence[str] = INSTALLED,
    ) -> None:
        """Let them follow the cluster of ``control_plane``, in which the node is called ``name``.

        What they need is kept in ``folder``, which is of no other node. ``agent`` is the command of
        our program.
        """
        self._agent = agent
        self._node = node
        self._name = name
        self._control_plane = control_plane
        self._programs = programs
        self._folder = folder
        self.agent_log = folder / "agent.log"
        self.kube_proxy_log = folder / "kube-proxy.log"

    def start_agent(self, *flags: str) -> Popen[bytes]:
        """Start our program."""
        lock_file = f"--lock-file={self._folder / 'agent.lock'}"
        argv = [*self._agent, "run", *self._settings(AGENT), lock_file, *flags]
        return self._node.popen(argv, log=self.agent_log)

    def start_kube_proxy(self, *flags: str) -> Popen[bytes]:
        """Start kube-proxy in iptables mode, with the legacy tools that the agent shares."""
        program = str(self._programs / "kube-proxy")
        argv = [program, "--proxy-mode=iptables", *self._settings(KUBE_PROXY), *flags]
        path = f"PATH={legacy_tools(self._folder)}:{self._node.environment['PATH']}"
        return self._node.popen(["env", path, *argv], log=self.kube_proxy_log)

    def _settings(self, user: str) -> tuple[str, ...]:
        kubeconfig = self._control_plane.kubeconfig(user)
        return (
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self._name}",
            _CLUSTER_CIDR,
            # This limit belongs to the whole machine, not to the lab.
            "--conntrack-max-per-core=0",
        )


def legacy_tools(folder: Path) -> Path:
    """Make a folder in which ``iptables`` means the legacy one, whatever it is on this machine."""
    links = folder / "legacy"
    links.mkdir(exist_ok=True)
    for name in (*_IPTABLES, *(f"ip6{tool.removeprefix('ip')}" for tool in _IPTABLES)):
        family, _, rest = name.partition("-")
        legacy = shutil.which("-".join(part for part in (family, "legacy", rest) if part))
        link = links / name
        if legacy is not None and not link.exists():
            link.symlink_to(legacy)
    return links
