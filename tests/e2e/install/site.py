# SPDX-License-Identifier: Apache-2.0
"""A cluster that kubeadm could have made, with kube-proxy in pods, and the operator's machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final

import yaml

from kube.control_plane import ADMINISTRATOR
from kube.proxies import INSTALLED, legacy_tools
from lab import Target, wait_until
from rules.ir import Family
from tests.e2e.cluster import Cluster, bare_cluster
from tests.e2e.expecting import saved
from tests.e2e.install import kubeadm
from tests.e2e.install.daemon_pods import DaemonPods, Image
from tests.e2e.plan import NODES
from tests.e2e.schema import Pod, Program
from tests.shipping.places import HACK

AGENT: Final = "kube-dataplane"
KUBE_PROXY: Final = kubeadm.NAME

_LABEL: Final = "kube-dataplane/node-proxy"
_IMAGE: Final = "registry.example/kube-dataplane:1"
_BROKEN_IMAGE: Final = "registry.example/broken:1"
"""Its program ends at once."""
_CLUSTER_IP: Final = "10.96.0.10"
_INGRESS_IP: Final = "198.51.100.10"
_NODE_PORT: Final = 30080
_NAMESPACE: Final = "served"
_POD_NETWORKS: Final = "10.244.0.0/16,fd00:10:244::/48"
_START_SECONDS: Final = 60.0
_INSTALL_SECONDS: Final = 300.0


class InstallSite:
    """What the tests of one module share.

    Attributes:
        targets: where a Service is asked for from outside: by its VIPs, and through each node.
        image: the agent's.
        replacing: the arguments with which install.sh puts the agent in kube-proxy's place.
        failing: those with which it tries to, but with an agent that does not start.
        operator: the machine that commands are typed on.
        environment: what they find there.
    """

    def __init__(self, cluster: Cluster, programs: Path) -> None:
        """Begin with nodes that nobody serves."""
        self.cluster = cluster
        self.targets = (
            Target(_CLUSTER_IP, 80),
            Target(_INGRESS_IP, 80),
            *(Target(node.address.ipv4, _NODE_PORT) for node in NODES),
        )
        self.image = _IMAGE
        self.replacing = ("--image", _IMAGE)
        self.failing = ("--image", _BROKEN_IMAGE, "--timeout", "10")
        self._later = 0
        self._programs = programs
        self._folder = cluster.machines.lab.folder
        self.operator = cluster.machines.control
        self.environment: Mapping[str, str] = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "KUBECONFIG": str(self._access),
            # For what kubectl remembers of the API.
            "HOME": str(self._folder),
        }

    def install(self, *arguments: str) -> CompletedProcess[str]:
        """Run ``hack/install.sh`` with the real kubectl, whatever its exit code."""
        command = self.command(str(HACK / "install.sh"), *arguments, "--yes")
        return self.operator.run(command, check=False, timeout_seconds=_INSTALL_SECONDS)

    def command(self, *argv: str) -> list[str]:
        """What starts a program in the operator's environment."""
        return ["env", *(f"{name}={value}" for name, value in self.environment.items()), *argv]

    def agents(self) -> dict[str, list[str]]:
        """Who serves each node, as far as the API tells, and whether it is ready."""
        found: dict[str, list[str]] = {node.name: [] for node in NODES}
        for pod in self.cluster.api.list("v1", "Pod", "kube-system"):
            conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
            app = pod["metadata"]["labels"]["k8s-app"]
            node = pod["spec"].get("nodeName")
            if node is not None:
                is_ready = conditions.get("Ready") == "True"
                found[node].append(app if is_ready else f"{app}, not ready")
        return found

    def images(self) -> set[str]:
        """The images of all containers of the agent's pods."""
        return {
            container["image"]
            for pod in self.cluster.api.list("v1", "Pod", "kube-system")
            if pod["metadata"]["labels"]["k8s-app"] == AGENT
            for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
        }

    def rules(self) -> dict[str, list[str]]:
        """All IPv4 rules of each node."""
        hosts = self.cluster.machines.nodes
        return {name: saved(host, Family.IPV4) for name, host in hosts.items()}

    def daemonsets(self) -> dict[str, dict[str, str]]:
        """All DaemonSets, with the labels of the nodes that they want."""
        found = self.cluster.api.list("apps/v1", "DaemonSet", "kube-system")
        return {
            one["metadata"]["name"]: one["spec"]["template"]["spec"]["nodeSelector"]
            for one in found
        }

    def labelled_nodes(self) -> set[str]:
        """The nodes that have a label of install.sh."""
        command = ("get", "nodes", f"--selector={_LABEL}", "--output=name")
        return set(self.cluster.control_plane.kubectl(*command).split())

    def wait_for(self, agent: str) -> None:
        """Wait until each node has this agent alone, and it is ready."""
        wait_until(
            f"each node has {agent}",
            lambda: all(found == [agent] for found in self.agents().values()),
            seconds=_START_SECONDS,
            pause_seconds=0.2,
        )

    def wait_until_followed(self) -> None:
        """Add a Service that nobody serves, and wait until each node refuses it."""
        self._later += 1
        name = f"later-{self._later}"
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}}
        self.cluster.api.apply(service | {"spec": {"ports": [{"port": 80}]}}, _NAMESPACE)
        wait_until(
            f"each node knows {name}",
            lambda: all(f"{_NAMESPACE}/{name} " in str(one) for one in self.rules().values()),
            seconds=_START_SECONDS,
        )

    def add_kube_proxy(self) -> None:
        """Let kube-proxy serve all nodes, and a Service that it serves."""
        server = yaml.safe_load(self._access.read_text())["clusters"][0]["cluster"]["server"]
        objects = kubeadm.kube_proxy(server, _POD_NETWORKS)
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.cluster.control_plane.kubectl("apply", "--filename=-", stdin=listed)
        self._add_service()
        self.wait_for(KUBE_PROXY)
        wait_until(
            "kube-proxy serves all nodes",
            lambda: all(str(one).count(":8080'") == 2 for one in self.rules().values()),
            seconds=_START_SECONDS,
        )

    @contextmanager
    def kubelets(self) -> Iterator[None]:
        """Let the pods of DaemonSets come and go."""
        self.operator.popen(
            [
                str(self._programs / "kube-controller-manager"),
                f"--kubeconfig={self._access}",
                "--controllers=daemonset-controller",
                "--leader-elect=false",
                "--secure-port=0",
            ],
            log=self._folder / "daemonset-controller.log",
        )
        hosts = self.cluster.machines.nodes
        pods = DaemonPods(self.cluster.control_plane, hosts, self._images(), self._folder)
        with pods.running():
            yield

    @property
    def _access(self) -> Path:
        return self.cluster.control_plane.kubeconfig(ADMINISTRATOR)

    def _images(self) -> Mapping[str, Image]:
        path = os.environ["PATH"]
        return {
            kubeadm.IMAGE: Image(
                (kubeadm.COMMAND,),
                {kubeadm.COMMAND: self._programs / "kube-proxy"},
                f"{legacy_tools(self._folder)}:{path}",
            ),
            _IMAGE: Image(INSTALLED, {}, f"{Path(INSTALLED[0]).parent}:{path}"),
            _BROKEN_IMAGE: Image(("false",), {}, path),
        }

    def _add_service(self) -> None:
        api, labels = self.cluster.api, {"app": "web"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {
                "type": "LoadBalancer",
                "clusterIP": _CLUSTER_IP,
                "selector": labels,
                "ports": [{"port": 80, "targetPort": 8080, "nodePort": _NODE_PORT}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": _INGRESS_IP}]}},
        }
        for one in (namespace, service):
            api.apply(one, _NAMESPACE)
        pods = self.cluster.pods_of(_NAMESPACE)
        for node in NODES[:2]:
            pods.add(Pod(name=f"web-{node.number}", node=node.name, labels=labels))


@contextmanager
def install_site(programs: Path) -> Iterator[InstallSite]:
    """A cluster that kube-proxy serves, in pods."""
    with bare_cluster(programs, Program.KUBE_PROXY) as cluster:
        site = InstallSite(cluster, programs)
        with site.kubelets():
            site.add_kube_proxy()
            yield site
