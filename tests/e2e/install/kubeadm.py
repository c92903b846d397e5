# SPDX-License-Identifier: Apache-2.0
"""kube-proxy as kubeadm sets it up: its account and rights, its ConfigMap and its DaemonSet."""

from __future__ import annotations

from typing import Any, Final

import yaml

from tests.e2e.schema import Manifest
from tests.shipping.places import objects

NAME: Final = "kube-proxy"
COMMAND: Final = "/usr/local/bin/kube-proxy"
IMAGE: Final = "registry.k8s.io/kube-proxy"

_IN_NAMESPACE: Final = {"name": NAME, "namespace": "kube-system", "labels": {"k8s-app": NAME}}
_RIGHTS: Final = "kubeadm:node-proxier"


def kube_proxy(server: str, pod_networks: str) -> list[Manifest]:
    """All objects, for a cluster with its API server there."""
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _IN_NAMESPACE},
        _rights(),
        _configuration(server, pod_networks),
        _daemonset(),
    ]


def _rights() -> Manifest:
    group = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _RIGHTS},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:node-proxier"},
        "subjects": [account],
    }


def _configuration(server: str, pod_networks: str) -> Manifest:
    """The shipped example, which is kubeadm's, with what depends on the cluster."""
    (configmap,) = objects("example/kube-proxy-configmap.yaml")
    files: dict[str, str] = configmap["data"]
    config: dict[str, Any] = yaml.safe_load(files["config.conf"])
    config["clusterCIDR"] = pod_networks
    # This limit belongs to the whole machine, not to the lab.
    config["conntrack"]["maxPerCore"] = 0
    access: dict[str, Any] = yaml.safe_load(files["kubeconfig.conf"])
    access["clusters"][0]["cluster"]["server"] = server
    configmap["data"] = {
        "config.conf": yaml.safe_dump(config),
        "kubeconfig.conf": yaml.safe_dump(access),
    }
    return configmap


def _daemonset() -> Manifest:
    labels = {"k8s-app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _IN_NAMESPACE,
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": labels}, "spec": _pod()},
        },
    }


def _pod() -> Manifest:
    container = {
        "name": NAME,
        "image": IMAGE,
        "command": [
            COMMAND,
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"name": NAME, "mountPath": "/var/lib/kube-proxy"},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
            {"name": "lib-modules", "mountPath": "/lib/modules", "readOnly": True},
        ],
    }
    lock = {"path": "/run/xtables.lock", "type": "FileOrCreate"}
    return {
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NAME,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [
            {"name": NAME, "configMap": {"name": NAME}},
            {"name": "xtables-lock", "hostPath": lock},
            {"name": "lib-modules", "hostPath": {"path": "/lib/modules"}},
        ],
    }
