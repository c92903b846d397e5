# SPDX-License-Identifier: Apache-2.0
"""The API of the cluster, for many requests in a short time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import yaml
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from bench.cluster.manifests import (
    endpoints_of,
    namespaces_of,
    service_manifest,
    slice_manifest,
    status_of,
)
from bench.errors import BenchError
from bench.objects import Cluster
from kube.control_plane import JsonObject
from lab import Host
from rules.model import EndpointSlice, ObjectKey, Service

_CREATED: Final = 201
_OK: Final = 200
_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_WRITERS: Final = 8
_TIMEOUT_SECONDS: Final = 60.0


class Api:
    """Writes objects, as somebody who may do everything."""

    def __init__(self, machine: Host, kubeconfig: Path) -> None:
        """Ask from ``machine``, which reaches the API server."""
        self._machine = machine
        access = yaml.safe_load(kubeconfig.read_text())
        cluster, user = access["clusters"][0]["cluster"], access["users"][0]["user"]
        self._server = cluster["server"]
        self._pool = PoolManager(
            headers={"Authorization": f"Bearer {user['token']}"},
            ca_certs=cluster["certificate-authority"],
            maxsize=_WRITERS,
            timeout=_TIMEOUT_SECONDS,
        )

    def fill(self, cluster: Cluster) -> None:
        """Create all objects of a cluster but its Node."""
        for namespace in namespaces_of(cluster):
            self._request("POST", "/api/v1/namespaces", namespace)
        pairs = zip(cluster.services, cluster.slices, strict=True)
        with ThreadPoolExecutor(_WRITERS) as writers:
            for done in [writers.submit(self.create, *pair) for pair in pairs]:
                done.result()

    def create(self, service: Service, endpoint_slice: EndpointSlice | None = None) -> None:
        """Create a Service, with the addresses that its load balancer gave it, and its slice."""
        self._request("POST", _services(service.key.namespace), service_manifest(service))
        status = status_of(service)
        if status:
            path = f"{_services(service.key.namespace)}/{service.key.name}/status"
            self._request("PATCH", path, status, _MERGE)
        if endpoint_slice is not None:
            self.create_slice(endpoint_slice, service)

    def apply(self, service: Service, endpoint_slice: EndpointSlice) -> None:
        """Make a Service without a load balancer and its slice so, whether they exist or not."""
        for collection, manifest in (
            (_services(service.key.namespace), service_manifest(service)),
            (
                _slices(endpoint_slice.key.namespace),
                slice_manifest(endpoint_slice, service),
            ),
        ):
            path = f"{collection}/{manifest['metadata']['name']}?fieldManager=bench&force=true"
            self._request("PATCH", path, manifest, _APPLY)

    def create_slice(self, endpoint_slice: EndpointSlice, service: Service) -> None:
        """Create the slice of a Service."""
        path = _slices(endpoint_slice.key.namespace)
        self._request("POST", path, slice_manifest(endpoint_slice, service))

    def patch_slice(self, changed: EndpointSlice) -> None:
        """Give a slice other endpoints."""
        path = f"{_slices(changed.key.namespace)}/{changed.key.name}"
        self._request("PATCH", path, endpoints_of(changed), _MERGE)

    def patch_slices(self, changed: list[EndpointSlice]) -> None:
        """Change many slices at once, one of them more than once if it is named so often."""
        with ThreadPoolExecutor(_WRITERS) as writers:
            for _ in writers.map(self.patch_slice, changed):
                pass

    def delete_service(self, key: ObjectKey) -> None:
        """Delete a Service."""
        self._request("DELETE", f"{_services(key.namespace)}/{key.name}")

    def delete_slice(self, key: ObjectKey) -> None:
        """Delete a slice."""
        self._request("DELETE", f"{_slices(key.namespace)}/{key.name}")

    def _request(
        self, method: str, path: str, body: JsonObject | None = None, content_type: str = _JSON
    ) -> None:
        try:
            # A connection that is opened now belongs to the machine that the thread is on.
            with self._machine.entered():
                answer = self._pool.request(
                    method,
                    self._server + path,
                    body=None if body is None else json.dumps(body),
                    headers={**self._pool.headers, "Content-Type": content_type},
                )
        except HTTPError as error:
            raise BenchError(f"{method} {path}: {error}") from error
        if answer.status not in (_OK, _CREATED):
            raise BenchError(f"{method} {path}: {answer.status}: {answer.data.decode()}")


def _services(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/services"


def _slices(namespace: str) -> str:
    return f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
