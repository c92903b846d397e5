# SPDX-License-Identifier: Apache-2.0
"""Where the shipped files are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).parents[2]
HACK: Final = REPOSITORY / "hack"
MANIFESTS: Final = HACK / "manifests"


def objects(file: str) -> list[dict[str, Any]]:
    """The objects of a manifest."""
    return list(yaml.safe_load_all((MANIFESTS / file).read_text(encoding="utf-8")))


def daemonset() -> dict[str, Any]:
    """The agent's DaemonSet."""
    (found,) = objects("daemonset.yaml")
    return found


def pod_spec() -> dict[str, Any]:
    """The pods of the agent's DaemonSet."""
    spec: dict[str, Any] = daemonset()["spec"]["template"]["spec"]
    return spec


def agent_container() -> dict[str, Any]:
    """The container that the agent runs in."""
    (found,) = pod_spec()["containers"]
    container: dict[str, Any] = found
    return container


def agent_host_paths() -> dict[str, str]:
    """For each path in the agent's container that is of the node, the path that it has there."""
    volumes = {
        volume["name"]: volume["hostPath"]["path"]
        for volume in pod_spec()["volumes"]
        if "hostPath" in volume
    }
    mounts = agent_container()["volumeMounts"]
    return {m["mountPath"]: volumes[m["name"]] for m in mounts if m["name"] in volumes}
