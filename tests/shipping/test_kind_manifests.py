# SPDX-License-Identifier: Apache-2.0
"""What hack/kind makes of the shipped manifests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from kind.errors import UnusableKubeconfigError
from kind.manifests import CLUSTER_FILE, api_server, manifests
from tests.shipping.places import objects

_IMAGE: Final = "localhost/kube-dataplane:test"
_SERVER: Final = "https://control-plane.test:6443"
_CONFIGMAP: Final = "example/kube-proxy-configmap.yaml"
_SHIPPED: Final = ("rbac.yaml", _CONFIGMAP, "daemonset.yaml")


def _leaves(value: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - any piece of YAML
    """All values that are not collections, by where they stand; YAML inside of YAML too."""
    match value:
        case dict():
            children = {f"{path}/{key}": child for key, child in value.items()}
        case list():
            children = {f"{path}/{index}": child for index, child in enumerate(value)}
        case str() if path.endswith(".conf"):
            children = {f"{path}:": yaml.safe_load(value)}
        case _:
            return {path: value}
    return {
        place: leaf for at, child in children.items() for place, leaf in _leaves(child, at).items()
    }


def _configuration() -> dict[str, Any]:
    (configmap,) = [one for one in manifests(_IMAGE, _SERVER) if one["kind"] == "ConfigMap"]
    files: dict[str, Any] = configmap["data"]
    return files


def test_all_else_is_as_shipped() -> None:
    """The image, the server, the pods' networks and conntrack's size are all that is changed."""
    shipped = _leaves([one for file in _SHIPPED for one in objects(file)])
    made = _leaves(manifests(_IMAGE, _SERVER))

    assert made.keys() == shipped.keys()
    changed = {
        path.rpartition("/")[2]: value for path, value in made.items() if value != shipped[path]
    }
    networking = yaml.safe_load(CLUSTER_FILE.read_text(encoding="utf-8"))["networking"]
    assert changed == {
        "image": _IMAGE,
        "server": _SERVER,
        "clusterCIDR": networking["podSubnet"],
        "maxPerCore": 0,
    }


def test_an_api_server_would_take_them() -> None:
    """All objects fit the API's schemas."""
    for one in manifests(_IMAGE, _SERVER):
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_all_containers_have_the_image() -> None:
    """No container is left with an image that was not loaded into the cluster."""
    made = _leaves(manifests(_IMAGE, _SERVER))

    images = [value for path, value in made.items() if path.endswith("/image")]
    assert len(images) == 2
    assert set(images) == {_IMAGE}


def test_the_agent_takes_the_configuration(tmp_path: Path) -> None:
    """``dataplane run`` accepts it: pods of both families, and conntrack's size left alone."""
    file, in_force = tmp_path / "config.conf", tmp_path / "in-force.yaml"
    file.write_text(_configuration()["config.conf"], encoding="utf-8")

    command = Path(sys.executable).with_name("dataplane")
    done = subprocess.run(
        [command, "run", f"--config={file}", f"--write-config-to={in_force}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    written = yaml.safe_load(in_force.read_text(encoding="utf-8"))
    assert written["clusterCIDR"] == "10.244.0.0/16,fd00:10:244::/56"
    assert written["conntrack"]["maxPerCore"] == 0


@pytest.mark.parametrize("text", ["", "clusters: []", "clusters: [{cluster: {}}]", "not a mapping"])
def test_a_kubeconfig_without_a_server(text: str) -> None:
    """It is refused with words that say which file is wanted."""
    with pytest.raises(UnusableKubeconfigError, match="kind get kubeconfig --internal"):
        api_server(text)
