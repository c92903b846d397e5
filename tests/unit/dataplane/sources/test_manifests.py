# SPDX-License-Identifier: Apache-2.0
"""Manifests in real files: read once, and followed as the files change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from errno import EACCES, ENOSPC
from functools import partial
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as enumerate_threads

import pytest
import yaml
from watchdog.observers.api import BaseObserver

from dataplane.errors import SourceError
from dataplane.sources.manifests import ManifestSource, load_manifests
from rules.model import Node, ObjectKey
from tests.apiserver.objects import endpoint_slice, node, service
from tests.apiserver.store import JsonObject
from tests.unit.dataplane.sources.support import WEB, Witness

API = ObjectKey("default", "api")


def _write(path: Path, *objects: JsonObject) -> Path:
    path.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    return path


def _has_address(witness: Witness, address: str) -> bool:
    return witness.addresses() == [address]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a Service, its slice and the Node in one file."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    _write(folder / "web.yaml", service(), endpoint_slice(), node())
    return folder


@pytest.fixture
def witness() -> Witness:
    """What is delivered and reported."""
    return Witness()


@pytest.fixture
def follow(witness: Witness) -> Iterator[Callable[..., ManifestSource]]:
    """Starts sources that are stopped at the end of the test."""
    started = []

    def start(*paths: Path) -> ManifestSource:
        source = ManifestSource(paths, "node-a", witness.state, witness)
        source.start()
        started.append(source)
        return source

    yield start
    for source in started:
        source.stop()


def test_load_reads_files_and_folders(folder: Path, tmp_path: Path, witness: Witness) -> None:
    """Folders are read with what is below them, files whatever their name."""
    (folder / "more").mkdir()
    (folder / "more" / "api.json").write_text(json.dumps(service("api")), encoding="utf-8")
    (folder / "README.md").write_text("not a manifest", encoding="utf-8")
    (folder / ".hidden.yaml").write_text("not: [valid", encoding="utf-8")
    single = _write(tmp_path / "manifest.txt", service("single"))
    manifests = load_manifests([folder, single], "node-a", witness)
    assert [one.key.name for one in manifests.services] == ["api", "web", "single"]
    assert [one.key.name for one in manifests.slices] == ["web-1"]
    assert manifests.node.zone == "zone-1"
    assert witness.skips == []


def test_only_the_named_node_counts(folder: Path, witness: Witness) -> None:
    """Without a manifest of this node, nothing but its name is known."""
    assert load_manifests([folder], "node-b", witness).node == Node("node-b")


def test_missing_path_is_refused(tmp_path: Path, witness: Witness) -> None:
    """A path that does not exist is an error, when loading and when following."""
    missing = tmp_path / "none"
    with pytest.raises(SourceError, match="none: no such file or folder"):
        load_manifests([missing], "node-a", witness)
    with pytest.raises(SourceError, match="none: no such file or folder"):
        ManifestSource([missing], "node-a", witness.state, witness).start()


def test_bad_objects_are_named_and_the_others_used(folder: Path, witness: Witness) -> None:
    """Each kind of bad input gives one message with its place; the rest is loaded."""
    path = folder / "bad.yaml"
    _write(
        path,
        service("api", ports=[{"port": "80"}]),
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}},
        {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "web"}},
        endpoint_slice("orphan", service_name=""),
        service("web"),
        service("good"),
    )
    (folder / "broken.yaml").write_text("a: 1\nb: }\n", encoding="utf-8")
    manifests = load_manifests([folder], "node-a", witness)
    assert [one.key.name for one in manifests.services] == ["web", "good"]
    used = "v1 Service, discovery.k8s.io/v1 EndpointSlice, v1 Node"
    other_kind = f"not a kind that is used here; these are: {used}"
    orphan = (
        "belongs to no Service here: it needs addressType IPv4 or IPv6, the label"
        " kubernetes.io/service-name, and no label that gives it to another proxy"
    )
    duplicate = "already defined in bad.yaml (document 5), which counts: remove one"
    texts = [str(error).replace(f"{folder}/", "") for error in witness.skips]
    assert texts[0].startswith("broken.yaml (line 2): not valid YAML: ")
    assert texts[1:] == [
        "bad.yaml (document 1): Service default/api: spec.ports[0].port: Expected `int`, got `str`",
        f"bad.yaml (document 2): apps/v1 Deployment: {other_kind}",
        f"bad.yaml (document 3): serving.knative.dev/v1 Service: {other_kind}",
        f"bad.yaml (document 4): EndpointSlice default/orphan: {orphan}",
        f"web.yaml (document 1): Service default/web: {duplicate}",
    ]


def test_first_state_is_there_after_start(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """When start returns, the first full state is delivered."""
    follow(folder)
    assert witness.addresses() == ["10.244.1.2"]


def test_changed_file_is_followed(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A file that is written anew is read anew."""
    follow(folder)
    _write(folder / "web.yaml", service(), endpoint_slice(address="10.244.1.9"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.9"])
    picture = witness.state.picture()
    assert picture is not None
    assert picture.node == Node("node-a")


def test_files_come_and_go(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """New files and new folders are found, deleted ones forgotten."""
    follow(folder)
    nested = folder / "one" / "two"
    nested.mkdir(parents=True)
    path = _write(nested / "api.yml", service("api"))
    witness.wait_for(lambda: witness.service(API))
    _write(path, service("api", clusterIPs=["10.96.0.99"]))
    witness.wait_for(
        lambda: (one := witness.service(API)) and one.service.cluster_ips == ("10.96.0.99",)
    )
    path.unlink()
    witness.wait_for(lambda: witness.service(API) is None)
    assert witness.service(WEB) is not None


def test_replaced_folder_is_followed(
    folder: Path, tmp_path: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A folder that is replaced by another of the same name is watched like the first."""
    follow(folder)
    folder.rename(tmp_path / "old")
    folder.mkdir()
    _write(folder / "api.yaml", service("api"))
    witness.wait_for(lambda: witness.service(API))
    assert witness.service(WEB) is None
    _write(folder / "more.yaml", service("more"))
    witness.wait_for(lambda: witness.service(ObjectKey("default", "more")))


def test_atomic_rename_is_followed(
    folder: Path, tmp_path: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A single file that editors replace by renaming stays followed, time after time."""
    path = folder / "web.yaml"
    follow(path)
    for number in range(3):
        _write(tmp_path / "new", service(), endpoint_slice(address=f"10.244.1.{number}")).rename(
            path
        )
        witness.wait_for(partial(_has_address, witness, f"10.244.1.{number}"))


def test_config_map_swap_is_followed(
    tmp_path: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A ConfigMap volume, which changes by swapping a link to a folder, is followed."""
    volume = tmp_path / "volume"
    for name, address in (("..first", "10.244.1.2"), ("..second", "10.244.1.3")):
        (volume / name).mkdir(parents=True)
        _write(volume / name / "web.yaml", service(), endpoint_slice(address=address))
    (volume / "..data").symlink_to("..first")
    (volume / "web.yaml").symlink_to("..data/web.yaml")
    follow(volume)
    assert witness.addresses() == ["10.244.1.2"]
    (volume / "..data_tmp").symlink_to("..second")
    (volume / "..data_tmp").rename(volume / "..data")
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.3"])
    assert witness.skips == []


def test_linked_folder_is_followed(
    folder: Path, tmp_path: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A path that is a link to a folder is followed to a new target, and changes within it."""
    link = tmp_path / "current"
    link.symlink_to(folder)
    follow(link)
    second = tmp_path / "elsewhere" / "second"
    second.mkdir(parents=True)
    _write(second / "web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    (tmp_path / "next").symlink_to(second)
    (tmp_path / "next").rename(link)
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.3"])
    _write(second / "web.yaml", service(), endpoint_slice(address="10.244.1.4"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.4"])


def test_link_to_a_folder_above_ends(folder: Path, witness: Witness) -> None:
    """A link that leads in a circle is no trap."""
    (folder / "again").symlink_to(folder)
    assert len(load_manifests([folder], "node-a", witness).services) == 1


def test_broken_file_keeps_its_last_good_content(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A file that turns into nonsense is reported once; what it said stays, other files change."""
    follow(folder)
    (folder / "web.yaml").write_text("a: [", encoding="utf-8")
    witness.wait_for(lambda: witness.skips)
    _write(folder / "api.yaml", service("api"))
    witness.wait_for(lambda: witness.service(API))
    assert witness.addresses() == ["10.244.1.2"]
    assert len(witness.skips) == 1


def test_bad_object_keeps_its_last_good_state(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """Objects that turn bad stay as they were, the Node too, while the file's others change."""
    follow(folder)
    bad_node = node()
    bad_node["status"]["addresses"][1]["address"] = "nowhere"
    _write(
        folder / "web.yaml",
        service(clusterIPs=["nowhere"]),
        endpoint_slice(address="10.244.1.9"),
        bad_node,
    )
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.9"])
    state, picture = witness.service(), witness.state.picture()
    assert state is not None
    assert picture is not None
    assert state.service.cluster_ips == ("10.96.0.10",)
    assert picture.node.zone == "zone-1"


def test_writer_without_pause_is_read_all_the_same(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """Changes are taken although another file in the folder never comes to rest."""
    follow(folder)
    ended = Event()

    def scribble() -> None:
        while not ended.wait(0.02):
            (folder / "log.txt").write_text("x", encoding="utf-8")

    writer = Thread(target=scribble)
    writer.start()
    _write(folder / "web.yaml", service(), endpoint_slice(address="10.244.1.9"))
    witness.wait_for(lambda: witness.addresses() == ["10.244.1.9"])
    ended.set()
    writer.join()


def test_orphaned_slice_is_dropped(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A slice that loses its Service's name no longer counts: it is not bad, but no one's."""
    follow(folder)
    _write(folder / "web.yaml", service(), endpoint_slice(service_name=""), node())
    witness.wait_for(lambda: witness.addresses() == [])


def test_foreign_kind_of_the_same_name_keeps_nothing(
    folder: Path, witness: Witness, follow: Callable[..., ManifestSource]
) -> None:
    """A Service of another API does not stand for the core Service that it replaces."""
    follow(folder)
    _write(folder / "web.yaml", service() | {"apiVersion": "serving.knative.dev/v1"})
    witness.wait_for(lambda: witness.service() is None)


def test_reading_that_works_again_ends_the_interruption(
    folder: Path,
    witness: Witness,
    follow: Callable[..., ManifestSource],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once the folder can be read again the files are followed, whether they changed or not."""
    follow(folder)

    def refuse(path: Path) -> Iterator[Path]:
        raise PermissionError(EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        # Not by the folder's mode: root may read whatever it says.
        patched.setattr(Path, "iterdir", refuse)
        (folder / "README.md").write_text("something else", encoding="utf-8")
        witness.wait_for(lambda: witness.interruptions)
    assert witness.interruptions[0] == ("manifests", f"{folder}: cannot be read: Permission denied")
    assert witness.resumptions == []
    (folder / "README.md").write_text("again", encoding="utf-8")
    witness.wait_for(lambda: witness.resumptions == ["manifests"])
    _write(folder / "api.yaml", service("api"))
    witness.wait_for(lambda: witness.service(API))
    assert witness.resumptions == ["manifests"]


def test_folder_that_cannot_be_watched_is_read_and_reported(
    folder: Path,
    witness: Witness,
    follow: Callable[..., ManifestSource],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What stands in such a folder counts, and the interruption is told after it, not before."""
    told: list[str] = []

    def refuse(*_: object, **_options: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(BaseObserver, "schedule", refuse)
    monkeypatch.setattr(witness, "listed", lambda *_: told.append("listed"))
    monkeypatch.setattr(witness, "interrupted", lambda *_: told.append("interrupted"))
    follow(folder)
    assert witness.addresses() == ["10.244.1.2"]
    assert told == ["listed", "interrupted"]


def test_stop_leaves_no_thread(folder: Path, witness: Witness) -> None:
    """After stop, no thread of the source is left."""
    source = ManifestSource([folder], "node-a", witness.state, witness)
    source.start()
    source.stop()
    assert not [thread for thread in enumerate_threads() if thread.name == "manifests"]
