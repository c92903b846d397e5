# SPDX-License-Identifier: Apache-2.0
"""The configuration as a document: read from YAML or JSON, changed by path, written.

A document is what YAML makes of the text: mappings, lists, text, numbers and booleans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from dataplane.config.defaults import with_defaults
from dataplane.config.durations import Duration
from dataplane.config.errors import ConfigError, Problem
from dataplane.config.types import API_VERSION, KIND, KubeProxyConfiguration, Section
from dataplane.errors import DataplaneError

_FORMER_FIELDS: Final = frozenset({"resourceContainer", "udpIdleTimeout"})
"""kube-proxy has dropped them, but they stand in ConfigMaps that an older kubeadm wrote."""

_PLACED: Final = re.compile(r"(.*?) - at (?:`key` in )?`\$\.?(.*)`", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice: one of the two values would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the base class decides
        """See the base class.

        Raises:
            yaml.constructor.ConstructorError: a key is given twice.
        """
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                mark = node.value[index][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", mark)
        return super().construct_mapping(node, deep)


def read_configuration(path: Path) -> KubeProxyConfiguration:
    """The configuration in the file ``path``, with kube-proxy's defaults.

    Raises:
        ConfigError: it cannot be read or decoded.
    """
    try:
        content = yaml.load(path.read_bytes(), Loader=StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; check --config"
        raise ConfigError(str(path), [Problem("", reason)]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = f"is not valid YAML or JSON: {_parser_words(error)}"
        raise ConfigError(str(path), [Problem("", reason)]) from error
    return with_defaults(decode(content, str(path)))


def decode(content: object, where: str) -> KubeProxyConfiguration:
    """The configuration in a document, without defaults for empty fields.

    Raises:
        ConfigError: it is not a KubeProxyConfiguration, or a field is unknown or ill-typed.
    """
    if not isinstance(content, dict):
        reason = f"is not a KubeProxyConfiguration: expected a mapping, got {content!r:.40}"
        raise ConfigError(where, [Problem("", reason)])
    for field, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if content.get(field) != expected:
            reason = f"must be {expected}, not {content.get(field)!r}"
            raise ConfigError(where, [Problem(field, reason)])
    known = {key: value for key, value in content.items() if key not in _FORMER_FIELDS}
    try:
        return msgspec.convert(
            _without_nulls(known, KubeProxyConfiguration),
            KubeProxyConfiguration,
            dec_hook=_decode_text,
        )
    except msgspec.ValidationError as error:
        raise ConfigError(where, [_problem(str(error))]) from None


def to_document(configuration: KubeProxyConfiguration) -> dict[str, Any]:
    """The document that decodes to ``configuration``, with every field."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(configuration, enc_hook=str))
    return document


def with_fields(
    configuration: KubeProxyConfiguration, fields: Mapping[str, object], where: str
) -> KubeProxyConfiguration:
    """``configuration`` with other values, in document form, at the paths of ``fields``.

    Raises:
        ConfigError: a value is ill-typed.
    """
    document = to_document(configuration)
    for path, value in fields.items():
        *sections, name = path.split(".")
        place = document
        for section in sections:
            place = place[section]
        place[name] = value
    return decode(document, where)


def field_at(document: Mapping[str, Any], path: str) -> object:
    """The value at a path such as ``iptables.syncPeriod``."""
    value: Any = document
    for name in path.split("."):
        value = value[name]
    return value


def write_configuration(configuration: KubeProxyConfiguration, path: Path) -> None:
    """Write ``configuration`` as YAML, for ``--write-config-to``.

    Raises:
        DataplaneError: the file cannot be written.
    """
    try:
        path.write_text(yaml.safe_dump(to_document(configuration)))
    except OSError as error:
        raise DataplaneError(
            f"cannot write the configuration to {path}: {error.strerror}; check --write-config-to"
        ) from error


def configz(configuration: KubeProxyConfiguration) -> dict[str, Any]:
    """What ``/configz`` answers: the document under the name of its API group, as kube-proxy's."""
    return {API_VERSION.partition("/")[0]: to_document(configuration)}


def _without_nulls(content: object, section: type[Section]) -> object:
    """``content`` without known fields that are null, which is the same as absent in Go."""
    if not isinstance(content, dict):
        return content
    types = {field.encode_name: field.type for field in msgspec.structs.fields(section)}
    kept: dict[str, object] = {}
    for name, value in content.items():
        kind = types.get(name)
        if value is None and kind is not None:
            continue
        if isinstance(kind, type) and issubclass(kind, Section):
            kept[str(name)] = _without_nulls(value, kind)
        else:
            kept[str(name)] = value
    return kept


def _parser_words(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def _decode_text(kind: type[Duration], value: object) -> Duration:
    return kind.parse(value)


def _problem(message: str) -> Problem:
    """The problem that a message of msgspec tells, with its place as operators write it."""
    reason, path = message, ""
    if placed := _PLACED.fullmatch(message):
        reason, path = placed.groups()
    if unknown := _UNKNOWN.fullmatch(reason):
        return Problem(".".join(part for part in (path, unknown[1]) if part), "unknown field")
    return Problem(path, reason)
