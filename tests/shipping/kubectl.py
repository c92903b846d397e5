# SPDX-License-Identifier: Apache-2.0
"""A kubectl for a :class:`ClusterModel`: knows the calls that install.sh makes, and no others.

The program itself hands its arguments and input to a thread here, which is ten times faster than to
start an interpreter for each call.
"""

from __future__ import annotations

import json
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer
from threading import Thread
from typing import Final

import yaml

from tests.shipping.cluster import AGENT, KUBE_PROXY, LABEL, ClusterModel

_PROGRAM: Final = """#!/bin/bash
LC_ALL=C
input=
case " $* " in *" --filename - "*) input=$(cat) ;; esac
# Only now: calls are answered one after the other, and this one may wait for another's output.
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\n' $# "$@" "${{#input}}" >&3
printf '%s' "$input" >&3
read -r code <&3
[ "$code" = 0 ] || exec >&2
cat <&3
exit "$code"
"""
_NAMES: Final = 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}'
_READY: Final = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
_PODS: Final = (
    'jsonpath={range .items[*]}{.metadata.name}{" "}'
    '{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
)
_APP: Final = "jsonpath={.spec.selector.matchLabels.k8s-app}"
_NODE_SELECTOR: Final = "jsonpath={.spec.template.spec.nodeSelector}"
_CONFIG: Final = "jsonpath={.data.config\\.conf}"
_APPS: Final = {
    f"k8s-app in ({KUBE_PROXY},{AGENT})": [KUBE_PROXY, AGENT],
    f"k8s-app={KUBE_PROXY}": [KUBE_PROXY],
    f"k8s-app={AGENT}": [AGENT],
}


class _RefusedError(Exception):
    """What kubectl says on stderr before it exits with 1."""


@contextmanager
def kubectl_of(cluster: ClusterModel, folder: Path) -> Iterator[None]:
    """Put a kubectl for ``cluster`` into ``folder``; it works until the end of the block."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            lines = iter(self.rfile.readline, b"")
            arguments = [_text(next(lines)) for _ in range(int(_text(next(lines))))]
            given = self.rfile.read(int(_text(next(lines)))).decode()
            code, output = _answer(cluster, arguments, given)
            self.wfile.write(f"{code}\n{output}".encode())

    with TCPServer(("127.0.0.1", 0), Handler) as server:
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(port=server.server_address[1]), encoding="utf-8")
        program.chmod(0o755)
        thread = Thread(target=server.serve_forever, args=(0.02,), name="kubectl")
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _text(line: bytes) -> str:
    return line.decode().removesuffix("\n")


def _answer(cluster: ClusterModel, arguments: list[str], given: str) -> tuple[int, str]:
    """The exit code and what is printed; on stderr, unless the code is 0."""
    try:
        return 0, _run(cluster, _parser().parse_intermixed_args(arguments), arguments, given)
    except _RefusedError as error:
        return 1, f"Error from server: {error}\n"
    except (Exception, SystemExit):  # noqa: BLE001 - is raised where the call was made: in the script
        return 70, f"a call that this kubectl does not know: {arguments}\n{traceback.format_exc()}"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--context", choices=["lab"])
    parser.add_argument("words", nargs="+")
    parser.add_argument("--namespace", choices=["kube-system"])
    for flag in ("filename", "output", "selector", "field-selector", "type", "patch", "timeout"):
        parser.add_argument(f"--{flag}", default="")
    for flag in ("quiet", "overwrite", "local", "ignore-not-found", "all-namespaces"):
        parser.add_argument(f"--{flag}", action="store_true")
    return parser


def _run(cluster: ClusterModel, call: Namespace, arguments: list[str], given: str) -> str:
    match call.words:
        case ["config", "current-context"]:
            return "lab\n"
        case ["set", "image", change]:
            return _set_image(call.filename, change)
        case ["rollout", "status", "daemonset", "kube-proxy"]:
            return ""
        case ["auth", "can-i", verb, resource]:
            assert call.all_namespaces != bool(call.namespace)
            if f"{verb} {resource}" in cluster.denied:
                raise _RefusedError("no")
            return ""
        case ["get", *what]:
            return _get(cluster, what, call)
    _change(cluster, call, given)
    cluster.note_change(arguments)
    return ""


def _get(cluster: ClusterModel, what: list[str], call: Namespace) -> str:
    match what, call.output:
        case ["nodes"], "name":
            return "".join(f"node/{name}\n" for name in cluster.machines)
        case ["nodes"], output if output == _NAMES:
            return "".join(f"{name}\n" for name in _selected(cluster, call.selector))
        case ["node", name], output if name in cluster.machines:
            assert output in {"name", _READY}
            return str(cluster.machines[name].is_ready) if output == _READY else f"node/{name}\n"
        case ["pods"], output if output == _PODS:
            nodes = [call.field_selector.removeprefix("spec.nodeName=")]
            lines = [
                line
                for name in (nodes if call.field_selector else cluster.machines)
                for line in cluster.look(name, _APPS[call.selector])
            ]
            return "".join(f"{line}\n" for line in lines)
        case ["daemonset", "kube-proxy"], output if cluster.has_kube_proxy:
            selector = (
                json.dumps(cluster.kube_proxy_selector) if cluster.kube_proxy_selector else ""
            )
            return {_APP: KUBE_PROXY, _NODE_SELECTOR: selector}[output]
        case ["configmap", "kube-proxy"], output if cluster.config is not None:
            assert output == _CONFIG
            return cluster.config
    raise _RefusedError(f"{' '.join(what)} not found")


def _selected(cluster: ClusterModel, selector: str) -> list[str]:
    os, *rest = selector.split(",")
    assert os == "kubernetes.io/os=linux"
    wanted = rest[0] if rest else None

    def fits(labels: dict[str, str]) -> bool:
        match wanted:
            case None:
                return True
            case text if text == LABEL:
                return LABEL in labels
            case text if text == f"!{LABEL}":
                return LABEL not in labels
        return labels.get(LABEL) == wanted.removeprefix(f"{LABEL}=")

    linux = {n: m for n, m in cluster.machines.items() if m.labels[os.split("=")[0]] == "linux"}
    return [name for name, machine in linux.items() if fits(machine.labels)]


def _change(cluster: ClusterModel, call: Namespace, given: str) -> None:
    match call.words:
        case ["label", "node" | "nodes", *names, label]:
            for name in names:
                _label(cluster.machines[name].labels, label, is_forced=call.overwrite)
        case ["patch", "daemonset", "kube-proxy"]:
            assert call.type == "merge"
            patch = json.loads(call.patch)["spec"]["template"]["spec"]["nodeSelector"]
            merged = {**cluster.kube_proxy_selector, **patch}
            cluster.kube_proxy_selector = {k: v for k, v in merged.items() if v is not None}
        case ["apply"]:
            _apply(cluster, given if call.filename == "-" else _read(call.filename))
        case ["delete", "daemonset", "kube-dataplane"]:
            cluster.agent = None
            cluster.applied_kinds.remove("DaemonSet")
        case ["delete"]:
            for one in yaml.safe_load_all(_read(call.filename)):
                cluster.applied_kinds.remove(one["kind"])
        case words:
            raise AssertionError(words)


def _label(labels: dict[str, str], label: str, *, is_forced: bool) -> None:
    if label.endswith("-"):
        labels.pop(label[:-1], None)
        return
    key, value = label.split("=")
    if labels.get(key, value) != value and not is_forced:
        raise _RefusedError(f"'{key}' already has a value, and --overwrite is false")
    labels[key] = value


def _apply(cluster: ClusterModel, text: str) -> None:
    for one in yaml.safe_load_all(text):
        if one["kind"] == "DaemonSet":
            cluster.agent = one
        if one["kind"] not in cluster.applied_kinds:
            cluster.applied_kinds.append(one["kind"])


def _set_image(manifest: str, change: str) -> str:
    name, image = change.split("=")
    assert name == "*"
    daemonset = yaml.safe_load(_read(manifest))
    spec = daemonset["spec"]["template"]["spec"]
    for container in (*spec["initContainers"], *spec["containers"]):
        container["image"] = image
    return str(yaml.safe_dump(daemonset))


def _read(filename: str) -> str:
    return Path(filename).read_text(encoding="utf-8")
