# SPDX-License-Identifier: Apache-2.0
"""How a text is taken apart into objects, and what is said about a text that is none."""

from __future__ import annotations

import json

import pytest

from dataplane.errors import UnusableObjectError
from dataplane.sources.documents import documents
from tests.apiserver import objects


def _wheres(name: str, text: str) -> list[str]:
    return [document.where for document in documents(name, text.encode()).found]


def _errors(text: str) -> list[str]:
    return [str(error) for error in documents("a.yaml", text.encode()).errors]


def test_documents_are_numbered() -> None:
    """Each document is named by its number; an empty one counts but holds nothing."""
    text = "apiVersion: v1\nkind: A\n---\n# nothing\n---\napiVersion: v1\nkind: B\n"
    assert _wheres("a.yaml", text) == ["a.yaml (document 1)", "a.yaml (document 3)"]


def test_lists_are_flattened() -> None:
    """The items of a List are objects of their own, with their own apiVersion and kind."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [objects.service()]})
    (document,) = documents("a.json", text.encode()).found
    assert document == ("a.json (document 1, item 1)", "v1", "Service", objects.service())


def test_items_of_a_typed_list_need_no_kind() -> None:
    """What an API server answers, a list whose items lack their kind, can be used as it is."""
    text = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSliceList, items: [{metadata: {}}]}"
    (document,) = documents("a.yaml", text.encode()).found
    assert (document.api_version, document.kind) == ("discovery.k8s.io/v1", "EndpointSlice")


def test_empty_list() -> None:
    """A List without items, or with null, holds nothing."""
    assert _wheres("a.yaml", "{apiVersion: v1, kind: List, items: []}") == []
    assert _wheres("a.yaml", "{apiVersion: v1, kind: ServiceList, items: null}") == []


def test_dates_stay_text() -> None:
    """An annotation that looks like a date is text, and a wrong date is no error."""
    text = "apiVersion: v1\nkind: A\nmetadata: {annotations: {on: 2024-01-01, off: 2024-13-45}}\n"
    (document,) = documents("a.yaml", text.encode()).found
    assert set(document.content["metadata"]["annotations"].values()) == {"2024-01-01", "2024-13-45"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- 1", "a.yaml (document 1): not an API object: expected a mapping, got [1]"),
        ("kind: A", "a.yaml (document 1): apiVersion: must be text, such as v1"),
        ("apiVersion: v1", "a.yaml (document 1): kind: must be text, such as Service"),
        (
            "{apiVersion: v1, kind: List, items: {}}\n---\n{apiVersion: v1, kind: List, items: 3}",
            "a.yaml (document 2): items: must be a list",
        ),
        (
            "&a {apiVersion: v1, kind: List, items: [*a]}",
            "a.yaml (document 1, item 1): kind: a list inside a list is not supported: flatten it",
        ),
        (
            "{apiVersion: v1, kind: List, items: [3]}",
            "a.yaml (document 1, item 1): not an API object: expected a mapping, got 3",
        ),
    ],
)
def test_what_is_no_object(text: str, error: str) -> None:
    """A document that is no object is named and does not hide the others."""
    assert _errors(text) == [error]
    other = "apiVersion: v1\nkind: A\n"
    assert len(documents("a.yaml", f"{other}---\n{text}\n---\n{other}".encode()).found) == 2


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        (
            "a.yaml",
            b"a: 1\nb: [1\nc: }\n",
            "a.yaml (line 3): not valid YAML: while parsing a flow sequence",
        ),
        ("a.yaml", b"a: 1\n\tb: 2\n", "a.yaml (line 2): not valid YAML: while scanning"),
        ("a.yaml", b"a: !!python/object:os.system x", "a.yaml (line 1): not valid YAML: could not"),
        ("a.yaml", b"a: \x01", "a.yaml: not valid YAML or JSON: unacceptable character"),
        ("a.yaml", b"a: \xff", "a.yaml: not valid YAML or JSON: 'utf-8' codec can't decode"),
        ("a.json", b'{\n"a": 1,\n}', "a.json (line 3): not valid JSON: "),
        ("a.json", b"[" * 100_000, "a.json: not valid YAML or JSON: maximum recursion depth"),
    ],
)
def test_text_that_cannot_be_read(name: str, data: bytes, error: str) -> None:
    """A text that is not YAML or JSON is refused as a whole, with the line where that is known."""
    with pytest.raises(UnusableObjectError) as caught:
        documents(name, data)
    assert str(caught.value).startswith(error)
