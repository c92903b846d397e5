# SPDX-License-Identifier: Apache-2.0
"""The API objects in a YAML or JSON text, each with the place where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from dataplane.errors import UnusableObjectError

if TYPE_CHECKING:
    from yaml import SafeLoader as _BaseLoader
else:
    # The loader in C is ten times faster, but PyYAML can be built without it.
    _BaseLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BaseLoader):
    """Reads a date as text, as Kubernetes does: an annotation may look like one."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _BaseLoader.yaml_implicit_resolvers.items()
}


class Document(NamedTuple):
    """One API object, not decoded yet."""

    where: str
    api_version: str
    kind: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Documents:
    """What a text holds."""

    found: tuple[Document, ...]
    errors: tuple[UnusableObjectError, ...]


def documents(name: str, data: bytes) -> Documents:
    """The objects in the file ``name``, the items of lists among them.

    Raises:
        UnusableObjectError: the text is not YAML or JSON, so nothing of it can be trusted.
    """
    found: list[Document] = []
    errors: list[UnusableObjectError] = []
    for number, content in enumerate(_parse(name, data), start=1):
        if content is None:
            continue
        for item in _flatten(f"{name} (document {number}", content):
            if isinstance(item, Document):
                found.append(item)
            else:
                errors.append(item)
    return Documents(tuple(found), tuple(errors))


def _parse(name: str, data: bytes) -> list[Any]:
    try:
        text = data.decode("utf-8-sig")
        if name.endswith(".json"):
            return [json.loads(text)]
        return list(yaml.load_all(text, Loader=_Loader))
    except json.JSONDecodeError as error:
        raise _unreadable(name, error.lineno, "JSON", error.msg) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise _unreadable(name, line, "YAML", reason) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(name, None, "YAML or JSON", " ".join(str(error).split())) from None


def _unreadable(name: str, line: int | None, language: str, reason: str) -> UnusableObjectError:
    where = name if line is None else f"{name} (line {line})"
    return UnusableObjectError(where=where, field="", reason=f"not valid {language}: {reason}")


def _flatten(place: str, content: object) -> Iterator[Document | UnusableObjectError]:
    """The object ``content``, or its items; ``place`` lacks the closing bracket."""
    header = _header(f"{place})", content)
    if not isinstance(header, Document) or not _is_list(header):
        yield header
        return
    items = header.content.get("items") or ()
    if not isinstance(items, list | tuple):
        yield _wrong(header.where, "items", "must be a list")
        return
    of_kind = header.kind.removesuffix("List")
    for number, item in enumerate(items, start=1):
        where = f"{place}, item {number})"
        # The items of a typed list, as the API server gives it, do not repeat their kind.
        inherited = {"apiVersion": header.api_version, "kind": of_kind} if of_kind else {}
        one = _header(where, inherited | item if isinstance(item, dict) else item)
        if isinstance(one, Document) and _is_list(one):
            one = _wrong(where, "kind", "a list inside a list is not supported: flatten it")
        yield one


def _is_list(document: Document) -> bool:
    return document.kind.endswith("List") and "items" in document.content


def _header(where: str, content: object) -> Document | UnusableObjectError:
    if not isinstance(content, dict):
        return _wrong(where, "", f"not an API object: expected a mapping, got {content!r:.40}")
    api_version, kind = content.get("apiVersion"), content.get("kind")
    if not isinstance(api_version, str):
        return _wrong(where, "apiVersion", "must be text, such as v1")
    if not isinstance(kind, str):
        return _wrong(where, "kind", "must be text, such as Service")
    return Document(where, api_version, kind, content)


def _wrong(where: str, field: str, reason: str) -> UnusableObjectError:
    return UnusableObjectError(where=where, field=field, reason=reason)
