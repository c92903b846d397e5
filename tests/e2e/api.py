# SPDX-License-Identifier: Apache-2.0
"""The cluster's API, as somebody who may do everything, without a process for each request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from kubernetes import config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError

from lab.place import Place
from tests.e2e.errors import ApiRefusedError
from tests.e2e.schema import Manifest

_JSON: Final = "application/json"
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
_MANAGER: Final = "e2e"
_NOT_FOUND: Final = 404


class Api:
    """Creates, changes, reads and deletes objects of any kind."""

    def __init__(self, machine: Place, kubeconfig: Path, discovered: Path) -> None:
        """Ask from ``machine``, which reaches the API server; remember its kinds in a file."""
        self._machine = machine
        with machine.entered():
            client = config.new_client_from_config(config_file=str(kubeconfig))  # type: ignore[no-untyped-call] # it has no types
            self._client = DynamicClient(client, cache_file=str(discovered))  # type: ignore[no-untyped-call] # likewise

    def apply(self, manifest: Manifest, namespace: str) -> None:
        """Create or change an object; in ``namespace`` if its kind is in one and it names none."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        metadata = manifest["metadata"]
        name, own = metadata["name"], metadata.get("namespace", namespace)
        path = self._path(version, kind, name, own)
        body = {key: value for key, value in manifest.items() if key != "status"}
        self._request("patch", path, body, _APPLY)
        if manifest.get("status"):
            status = {"status": manifest["status"]}
            self._request("patch", f"{path}/status", status, _MERGE)

    def patch(self, version: str, kind: str, name: str, namespace: str, merge: Manifest) -> None:
        """Change an object by a JSON merge patch; a status is changed in a request of its own."""
        path = self._path(version, kind, name, namespace)
        status = {key: value for key, value in merge.items() if key == "status"}
        rest = {key: value for key, value in merge.items() if key != "status"}
        if rest:
            self._request("patch", path, rest, _MERGE)
        if status:
            self._request("patch", f"{path}/status", status, _MERGE)

    def get(self, version: str, kind: str, name: str, namespace: str) -> Manifest:
        """Read an object."""
        return self._request("get", self._path(version, kind, name, namespace))

    def list(self, version: str, kind: str, namespace: str) -> list[Manifest]:
        """Read all objects of a kind in a namespace."""
        found = self._request("get", self._path(version, kind, None, namespace))
        return list(found["items"])

    def delete(
        self, version: str, kind: str, name: str, namespace: str, *, grace_seconds: int = 0
    ) -> None:
        """Delete an object; no error if it is gone already."""
        body = {"gracePeriodSeconds": grace_seconds}
        self._request("delete", self._path(version, kind, name, namespace), body)

    def delete_all(self, version: str, kind: str, namespace: str) -> None:
        """Delete all objects of a kind in a namespace at once."""
        path = self._path(version, kind, None, namespace)
        self._request("delete", path, {"gracePeriodSeconds": 0})

    def _path(self, version: str, kind: str, name: str | None, namespace: str) -> str:
        with self._machine.entered():
            resource = self._client.resources.get(api_version=version, kind=kind)
        return str(resource.path(name=name, namespace=namespace if resource.namespaced else None))

    def _request(
        self, method: str, path: str, body: Manifest | None = None, content_type: str = _JSON
    ) -> Manifest:
        options = {"field_manager": _MANAGER, "force_conflicts": True}
        with self._machine.entered():
            try:
                answer = self._client.request(
                    method,
                    path,
                    body=body,
                    serialize=False,
                    content_type=content_type,
                    **(options if content_type == _APPLY else {}),
                )
            except ApiException as error:
                if error.status == _NOT_FOUND and method == "delete":
                    return {}
                raise ApiRefusedError(f"{method} {path}: {error.status}: {error.body}") from error
            except HTTPError as error:
                raise ApiRefusedError(f"{method} {path}: {error}") from error
        found: Manifest = json.loads(answer.data)
        return found
