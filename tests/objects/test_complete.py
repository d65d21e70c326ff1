"""A manifest is complete when all its objects are there, and no change of a cache goes unseen."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from assay.objects import complete, tree
from assay.objects.cache import Cache
from assay.objects.complete import is_complete
from assay.objects.index import Index
from assay.objects.tree import Entry


class Place:
    """A cache with a folder of three files in it, unchanged for a while."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.index = Cache(folder / "cache"), Index(folder / "index.db")
        self.oids = [self.cache.add(b"%d" % number) for number in range(3)]
        self.manifest = tree.add(
            self.cache, [Entry(f"f{number}", oid) for number, oid in enumerate(self.oids)]
        )

    def ask(self) -> bool:
        return is_complete(self.manifest, self.cache, self.index)

    @property
    def is_remembered(self) -> bool:
        return self.index.derived(self.manifest, f"complete in {self.cache.folder}") is not None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(complete, "_SETTLED_NS", 20_000_000)
    made = Place(tmp_path)
    time.sleep(0.03)
    return made


def test_a_complete_one_is_remembered_and_its_manifest_is_not_read_again(
    place: Place, monkeypatch
):
    assert place.ask()
    assert place.is_remembered
    monkeypatch.setattr(tree, "read", None)  # reading it would fail
    assert place.ask()


@pytest.mark.parametrize("which", [0, 2])
def test_a_lost_object_is_missed_at_once(place: Place, which: int):
    assert place.ask()
    place.cache.remove(place.oids[which])
    assert not place.ask()
    place.cache.add(b"%d" % which)
    assert place.ask()


def test_a_lost_folder_of_objects_is_missed(place: Place):
    assert place.ask()
    path = place.cache.path(place.oids[1])
    path.unlink()
    if not list(path.parent.iterdir()):
        path.parent.rmdir()
    assert not place.ask()


def test_a_change_that_restores_the_time_of_a_folder_is_seen(place: Place):
    assert place.ask()
    path = place.cache.path(place.oids[0])
    before = path.parent.stat()
    path.unlink()
    os.utime(path.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not place.ask()


def test_a_damaged_manifest_is_read_again_and_goes_aside(place: Place):
    assert place.ask()
    path = place.cache.path(place.manifest)
    path.chmod(0o644)
    path.write_bytes(b"[]")
    assert not place.ask()
    assert not place.cache.has(place.manifest)


def test_what_was_changed_a_moment_ago_is_not_remembered(place: Place, monkeypatch):
    monkeypatch.setattr(complete, "_SETTLED_NS", 60_000_000_000)
    assert place.ask()
    assert not place.is_remembered


def test_one_file_is_complete_when_it_is_there(place: Place):
    assert is_complete(place.oids[0], place.cache, place.index)
    place.cache.remove(place.oids[0])
    assert not is_complete(place.oids[0], place.cache, place.index)


def test_a_manifest_that_is_not_there_is_not_complete(place: Place):
    place.cache.remove(place.manifest)
    assert not place.ask()
