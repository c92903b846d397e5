# SPDX-License-Identifier: Apache-2.0
"""etcd and a real kube-apiserver on a machine of the lab, and kubectl to talk to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from threading import get_ident
from typing import Any, Final

import yaml

from lab import Host, wait_until

JsonObject = dict[str, Any]
"""An object of the API."""

AGENT: Final = "system:serviceaccount:kube-system:kube-dataplane"
"""The user that the shipped manifests give the agent's rights to."""
KUBE_PROXY: Final = "system:kube-proxy"
"""The user that every cluster gives kube-proxy's rights to."""
METALLB_CONTROLLER: Final = "system:serviceaccount:metallb-system:controller"
METALLB_SPEAKER: Final = "system:serviceaccount:metallb-system:speaker"
"""The users that MetalLB's manifest gives its programs' rights to."""

ADMINISTRATOR: Final = "administrator"
"""The user who may do everything."""

_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 20.0
_PORT: Final = 6443
_ETCD: Final = "http://127.0.0.1:2379"
_GROUPS: Final = {
    ADMINISTRATOR: "system:masters",
    AGENT: "system:serviceaccounts",
    KUBE_PROXY: "system:authenticated",
    METALLB_CONTROLLER: "system:serviceaccounts",
    METALLB_SPEAKER: "system:serviceaccounts",
}
_CONTROLLERS: Final = (
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
)
_SERVICE_NETWORKS: Final = "10.96.0.0/12,fd00:10:96::/112"


class ControlPlane:
    """The cluster's store and API server. Who a client is, its kubeconfig says."""

    def __init__(
        self, host: Host, address: str, programs: Path, folder: Path, flags: Sequence[str] = ()
    ) -> None:
        """Listen on ``address`` of ``host``; keep data, certificate and logs in ``folder``.

        The API server is started with ``flags`` besides its usual ones.
        """
        self._host = host
        self._address = address
        self._programs = programs
        self._folder = folder
        self._flags = flags
        self._apiserver: Popen[bytes] | None = None
        self._controllers: Popen[bytes] | None = None

    def start(self) -> None:
        """Start etcd and the API server; return once it is ready."""
        self._write_certificate()
        tokens = (f"{_token(user)},{user},{user},{group}\n" for user, group in _GROUPS.items())
        (self._folder / "tokens.csv").write_text("".join(tokens))
        self._host.popen(
            [
                str(self._programs / "etcd"),
                f"--data-dir={self._folder / 'etcd'}",
                f"--listen-client-urls={_ETCD}",
                f"--advertise-client-urls={_ETCD}",
                # What it holds need not outlive the machine: waiting for the disk is for nothing.
                "--unsafe-no-fsync",
            ],
            log=self._folder / "etcd.log",
        )
        self.start_apiserver()

    def start_apiserver(self) -> None:
        """Start the API server; return once it is ready."""
        log = self._folder / "kube-apiserver.log"
        self._apiserver = process = self._host.popen(self._apiserver_command(), log=log)
        wait_until(
            "the API server is ready",
            lambda: process.poll() is not None or self._is_ready(),
            seconds=_START_SECONDS,
        )
        if process.poll() is not None:
            last_words = log.read_text().splitlines()[-1:]
            raise RuntimeError(f"kube-apiserver ended at its start: {last_words}")
        if self._controllers is not None:
            # They may wait for half a minute before they ask again; tests are not about them.
            _kill(self._controllers)
            self.start_controllers()

    def start_controllers(self) -> None:
        """Start the controllers that a Service's slices come from and go with."""
        self._controllers = self._host.popen(
            [
                str(self._programs / "kube-controller-manager"),
                f"--kubeconfig={self.kubeconfig(ADMINISTRATOR)}",
                f"--controllers={','.join(_CONTROLLERS)}",
                "--leader-elect=false",
                "--secure-port=0",
                # By default it would rest between requests when tests make many changes.
                "--kube-api-qps=1000",
                "--kube-api-burst=1000",
            ],
            log=self._folder / "kube-controller-manager.log",
        )

    def kill_apiserver(self) -> None:
        """End the API server as a crash would: nobody is told."""
        if self._apiserver is not None:
            _kill(self._apiserver)

    def kubeconfig(self, user: str) -> Path:
        """Write a kubeconfig for one of the users above."""
        path = self._folder / f"{_short(user)}.kubeconfig"
        cluster = {
            "server": f"https://{self._address}:{_PORT}",
            "certificate-authority": str(self._folder / "cert.pem"),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": _token(user)}}],
        }
        # At once: somebody may be reading it, and it is written for each who asks.
        fresh = path.with_suffix(f".{get_ident()}")
        fresh.write_text(yaml.safe_dump(content), encoding="utf-8")
        fresh.replace(path)
        return path

    @property
    def key_pair(self) -> tuple[Path, Path]:
        """Certificate and key of the API server, which also does for servers that it asks."""
        return self._folder / "cert.pem", self._folder / "key.pem"

    def put(self, *objects: JsonObject) -> None:
        """Create or replace objects, with the status that they carry."""
        bare = [{key: one[key] for key in one if key != "status"} for one in objects]
        self.kubectl("apply", "--server-side", "--filename=-", stdin=_list_of(bare))
        with_status = [one for one in objects if one.get("status")]
        if with_status:
            # Not applied: that cannot tell a Node's two internal addresses from each other.
            status = _list_of(with_status)
            self.kubectl("replace", "--subresource=status", "--filename=-", stdin=status)

    def delete(self, kind: str, name: str) -> None:
        """Delete one object of the default namespace, or one that is in no namespace."""
        self.kubectl("delete", kind, name, "--wait=false")

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl, as somebody who may do everything, and return what it printed."""
        return self._host.run([*self._kubectl_command(), *arguments], stdin=stdin).stdout

    def _is_ready(self) -> bool:
        command = [*self._kubectl_command(), "get", "--raw=/readyz"]
        return self._host.run(command, check=False).returncode == 0

    def _kubectl_command(self) -> list[str]:
        return [
            str(self._programs / "kubectl"),
            f"--kubeconfig={self.kubeconfig(ADMINISTRATOR)}",
            f"--cache-dir={self._folder / 'kubectl-cache'}",
        ]

    def _write_certificate(self) -> None:
        """One key for all: it also signs the tokens of service accounts, which nobody uses."""
        certificate, key = map(str, self.key_pair)
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        name = ("-subj", "/CN=kube-apiserver", "-addext", f"subjectAltName=IP:{self._address}")
        files = ("-keyout", key, "-out", certificate)
        self._host.run(["openssl", "req", "-x509", "-days", "2", *kind, *name, *files])

    def _apiserver_command(self) -> list[str]:
        certificate, key = self.key_pair
        return [
            str(self._programs / "kube-apiserver"),
            f"--etcd-servers={_ETCD}",
            f"--bind-address={self._address}",
            f"--advertise-address={self._address}",
            f"--secure-port={_PORT}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--service-account-key-file={certificate}",
            f"--service-account-signing-key-file={key}",
            f"--service-account-issuer=https://{self._address}",
            f"--service-cluster-ip-range={_SERVICE_NETWORKS}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            # As in every cluster that kubeadm makes: kube-proxy's pods are.
            "--allow-privileged",
            # Likewise; by default it would look up a node's name, which no machine here knows.
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            # There is no controller manager that would make service accounts.
            "--disable-admission-plugins=ServiceAccount",
            # Its own Service would lose and regain its endpoint with each restart.
            "--endpoint-reconciler-type=none",
            *self._flags,
        ]


def _kill(process: Popen[bytes]) -> None:
    process.kill()
    process.wait(_STOP_SECONDS)


def _list_of(objects: list[JsonObject]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _token(user: str) -> str:
    return f"token-of-{_short(user)}"


def _short(user: str) -> str:
    return user.rpartition(":")[2]
