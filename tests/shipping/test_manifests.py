# SPDX-License-Identifier: Apache-2.0
"""The manifests: right for the API server, and right for the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from dataplane.cli import run
from dataplane.config.defaults import HEALTHZ_PORT
from tests.shipping.places import (
    HACK,
    MANIFESTS,
    agent_container,
    agent_host_paths,
    daemonset,
    objects,
    pod_spec,
)

_CONFIGMAP = "example/kube-proxy-configmap.yaml"
_FILES = ("rbac.yaml", "daemonset.yaml", _CONFIGMAP)
_VERSIONS = ("1.30", kubernetes_validate.latest_version())


def _arguments() -> list[str]:
    return [argument.replace("$(NODE_NAME)", "node-a") for argument in agent_container()["args"]]


def test_all_manifests_are_known() -> None:
    """No manifest escapes these tests."""
    found = {str(file.relative_to(MANIFESTS)) for file in MANIFESTS.rglob("*.yaml")}
    assert found == set(_FILES)


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize("file", _FILES)
def test_an_api_server_would_take_it(file: str, version: str) -> None:
    """All objects fit the API's schemas, without a field that the API does not know."""
    found = objects(file)

    assert found
    for one in found:
        kubernetes_validate.validate(one, version, strict=True)


def test_a_wrong_manifest_would_be_found() -> None:
    """The schemas refuse a field that is misspelt."""
    wrong = daemonset()
    wrong["spec"]["template"]["spec"]["hostNetworks"] = True

    with pytest.raises(Exception, match="hostNetworks"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_the_arguments_are_known() -> None:
    """Each flag of the pods is one that ``dataplane run`` has."""
    known = {name for parameter in run.params for name in parameter.opts}
    command, *flags = _arguments()
    assert command == "run"
    assert {flag.partition("=")[0] for flag in flags} <= known


def test_kubeadms_configuration_is_taken(tmp_path: Path) -> None:
    """``dataplane run`` accepts the ConfigMap's config.conf with the arguments of the pods."""
    (configmap,) = objects(_CONFIGMAP)
    file = tmp_path / "config.conf"
    file.write_text(configmap["data"]["config.conf"], encoding="utf-8")
    in_force = tmp_path / "in-force.yaml"

    arguments = [
        f"--config={file}" if argument.startswith("--config=") else argument
        for argument in _arguments()
    ]
    done = subprocess.run(
        [Path(sys.executable).with_name("dataplane"), *arguments, f"--write-config-to={in_force}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    written = yaml.safe_load(in_force.read_text(encoding="utf-8"))
    assert written["clusterCIDR"] == "10.244.0.0/16"
    assert written["clientConnection"]["kubeconfig"] == "/var/lib/kube-proxy/kubeconfig.conf"
    assert written["healthzBindAddress"].endswith(f":{HEALTHZ_PORT}")


def test_the_configuration_is_where_the_pods_look() -> None:
    """The files that arguments and configuration name are keys of the mounted ConfigMap."""
    (configmap,) = objects(_CONFIGMAP)
    (volume,) = [one for one in pod_spec()["volumes"] if "configMap" in one]
    config = yaml.safe_load(configmap["data"]["config.conf"])

    assert volume["configMap"]["name"] == configmap["metadata"]["name"]
    mounts = agent_container()["volumeMounts"]
    (mount,) = [one for one in mounts if one["name"] == volume["name"]]
    files = {f"{mount['mountPath']}/{key}" for key in configmap["data"]}
    named = {a.partition("=")[2] for a in _arguments() if a.startswith("--config=")}
    assert {*named, config["clientConnection"]["kubeconfig"]} == files


def test_the_probes_ask_the_agent() -> None:
    """Liveness is /livez and readiness /healthz, on the default port of the health server."""
    container = agent_container()
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/healthz")):
        assert container[probe]["httpGet"] == {"path": path, "port": HEALTHZ_PORT}


def test_the_agent_has_no_more_privileges_than_it_needs() -> None:
    """It has two capabilities and cannot get more, and cannot write to its own image."""
    assert agent_container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
    }
    assert "securityContext" in pod_spec()


def test_no_container_is_privileged() -> None:
    """Beside the agent there is one step that may load modules, and nothing else."""
    (step,) = pod_spec()["initContainers"]

    assert step["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["SYS_MODULE"]},
    }


def test_what_the_agent_sees_of_the_node() -> None:
    """Both locks, so that no second agent runs in whatever pod, and the settings of its network."""
    (lock_file,) = [one.default for one in run.params if one.name == "lock_file"]

    assert agent_host_paths() == {
        "/run/xtables.lock": "/run/xtables.lock",
        str(lock_file): str(lock_file),
        "/host/proc/sys/net": "/proc/sys/net",
    }


def test_the_pods_go_where_those_of_kube_proxy_do() -> None:
    """Every Linux node, whatever its taints, on its network, and among the last to be evicted."""
    spec = pod_spec()

    assert spec["hostNetwork"] is True
    assert spec["priorityClassName"] == "system-node-critical"
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert daemonset()["spec"]["updateStrategy"] == {"type": "RollingUpdate"}


def test_all_have_the_same_image() -> None:
    """All containers are of one image, so that they are of one version."""
    images = {one["image"] for one in (*pod_spec()["initContainers"], agent_container())}
    assert len(images) == 1


def test_the_image_runs_what_the_pods_run() -> None:
    """Started without arguments, the image reads the file that the DaemonSet mounts."""
    dockerfile = (HACK / "Dockerfile").read_text(encoding="utf-8")
    assert 'ENTRYPOINT ["dataplane"]' in dockerfile
    (command,) = [line for line in dockerfile.splitlines() if line.startswith("CMD ")]
    assert yaml.safe_load(command.removeprefix("CMD ")) == agent_container()["args"][:2]


def test_the_image_is_built_with_the_same_installer() -> None:
    """The version of pip in the Dockerfile is the one that hack/setup.sh pins."""
    dockerfile = (HACK / "Dockerfile").read_text(encoding="utf-8").splitlines()
    setup = (HACK / "setup.sh").read_text(encoding="utf-8").splitlines()
    (pinned,) = [line for line in setup if "PIP_VERSION=" in line]

    assert f"ARG {pinned.removeprefix('readonly ')}" in dockerfile
