# SPDX-License-Identifier: Apache-2.0
"""References of scenarios to what the cluster assigned, such as ``<service/web.ip>``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from lab.plan import CLIENT, OTHER_CLIENT, DualStack
from rules.ir import Family
from tests.e2e.errors import UnknownNameError
from tests.e2e.plan import of
from tests.e2e.schema import Manifest

_REFERENCE: Final = re.compile(r"<(?P<what>[a-z0-9/-]+)(?:\.(?P<field>[a-z0-9.-]+))?>")
_CLIENTS: Final = {"client": CLIENT, "other-client": OTHER_CLIENT}
_FAMILY_OF_FIELD: Final = {"ipv4": Family.IPV4, "ipv6": Family.IPV6}


def with_texts(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401 - YAML
    """A value of the file, with all texts in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: with_texts(part, change) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [with_texts(part, change) for part in value]
    return value


def numbered(value: Any, number: int) -> Any:  # noqa: ANN401 - YAML
    """One of several like values: ``<number>`` tells them apart."""
    return with_texts(value, lambda text: text.replace("<number>", str(number)))


class References:
    """Resolves references of one scenario."""

    def __init__(
        self,
        namespace: str,
        node_address: Callable[[str], DualStack],
        pod_address: Callable[[str], DualStack],
        service: Callable[[str], Manifest],
    ) -> None:
        """Look up nodes, pods and Services by name with these."""
        self._namespace = namespace
        self._node_address = node_address
        self._pod_address = pod_address
        self._service = service

    def resolve(self, text: str, family: Family) -> str:
        """``text`` with all references replaced; ``.ip`` is an address of ``family``.

        Raises:
            UnknownNameError: one of them means nothing.
        """
        return _REFERENCE.sub(
            lambda match: self._value(match["what"], match["field"] or "", family), text
        )

    def _value(self, what: str, field: str, family: Family) -> str:
        if what == "namespace":
            return self._namespace
        kind, _, name = what.partition("/")
        wanted = _FAMILY_OF_FIELD.get(field, family)
        is_address = field == "ip" or field in _FAMILY_OF_FIELD
        if is_address and kind in _CLIENTS:
            return of(wanted, _CLIENTS[kind])
        if is_address and kind == "node":
            return of(wanted, self._node_address(name))
        if is_address and kind == "pod":
            return of(wanted, self._pod_address(name))
        if kind == "service":
            return _of_service(self._service(name), field, wanted)
        raise UnknownNameError(
            f"<{what}.{field}> means nothing: there are <namespace>, <client.ip>, "
            "<other-client.ip>, <node/NAME.ip>, <pod/NAME.ip> and <service/NAME.FIELD>"
        )


def _of_service(service: Manifest, field: str, family: Family) -> str:
    spec = service["spec"]
    kind, _, port = field.partition(".")
    found: list[object]
    match kind:
        case "ip" | "ipv4" | "ipv6":
            found = _of_family(spec.get("clusterIPs", []), family)
        case "ingress-ip":
            ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
            found = _of_family([one["ip"] for one in ingress], family)
        case "node-port":
            named = [
                one for one in spec["ports"] if port in ("", one.get("name"), str(one["port"]))
            ]
            found = [one["nodePort"] for one in named if "nodePort" in one]
        case "health-port":
            found = [spec["healthCheckNodePort"]] if "healthCheckNodePort" in spec else []
        case _:
            raise UnknownNameError(
                f"a service has no {field!r}: there are ip, ipv4, ipv6, ingress-ip, node-port, "
                "node-port.PORT and health-port"
            )
    if not found:
        name = service["metadata"]["name"]
        raise UnknownNameError(f"service {name!r} has no {field} of {family.value} (yet)")
    return str(found[0])


def _of_family(addresses: list[str], family: Family) -> list[object]:
    return [one for one in addresses if (":" in one) is (family is Family.IPV6)]
