# SPDX-License-Identifier: Apache-2.0
"""The shipped manifests, made to fit a kind cluster that was set up without kube-proxy.

Only what depends on the cluster is changed: the image, the API server's address, the networks of
the pods, and conntrack's size, which belongs to the machine that all nodes share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from kind.errors import UnusableKubeconfigError

CLUSTER_FILE: Final = Path(__file__).with_name("cluster.yaml")

_MANIFESTS: Final = Path(__file__).parents[1] / "manifests"
_FILES: Final = ("rbac.yaml", "example/kube-proxy-configmap.yaml", "daemonset.yaml")

Object = dict[str, Any]


def api_server(kubeconfig: str) -> str:
    """The URL of the API server, as ``kind get kubeconfig --internal`` tells it.

    Raises:
        UnusableKubeconfigError: there is none in it.
    """
    match yaml.safe_load(kubeconfig):
        case {"clusters": [{"cluster": {"server": str(server)}}]}:
            return server
    raise UnusableKubeconfigError(
        "the kubeconfig has no address of an API server: "
        "give the file that `kind get kubeconfig --internal` prints"
    )


def manifests(image: str, server: str) -> list[Object]:
    """All objects to apply, in an order in which each finds what it needs."""
    objects = [
        one
        for file in _FILES
        for one in yaml.safe_load_all((_MANIFESTS / file).read_text(encoding="utf-8"))
    ]
    for one in objects:
        match one["kind"]:
            case "ConfigMap":
                _fit_configuration(one["data"], server)
            case "DaemonSet":
                _set_image(one["spec"]["template"]["spec"], image)
    return objects


def _fit_configuration(files: dict[str, str], server: str) -> None:
    """Change the files of the ConfigMap, which are YAML inside of YAML."""
    config = yaml.safe_load(files["config.conf"])
    config["clusterCIDR"] = _pod_networks()
    config["conntrack"]["maxPerCore"] = 0
    files["config.conf"] = yaml.safe_dump(config)
    access = yaml.safe_load(files["kubeconfig.conf"])
    access["clusters"][0]["cluster"]["server"] = server
    files["kubeconfig.conf"] = yaml.safe_dump(access)


def _pod_networks() -> str:
    cluster = yaml.safe_load(CLUSTER_FILE.read_text(encoding="utf-8"))
    return str(cluster["networking"]["podSubnet"])


def _set_image(pod: Object, image: str) -> None:
    for container in (*pod["initContainers"], *pod["containers"]):
        container["image"] = image
