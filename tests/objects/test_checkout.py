"""A checkout brings a path to its content, or changes nothing and says why."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.objects import scan, tree
from assay.objects.cache import Cache, Damaged
from assay.objects.checkout import Target, Unsaved, checkout
from assay.objects.index import Index
from assay.objects.tree import Entry
from tests import make


class Place:
    """A workspace folder with a cache and an index beside it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.work = folder / "ws" / "d", folder / "work"
        self.cache, self.index = Cache(folder / "cache"), Index(folder / "index.db")
        (folder / "ws").mkdir()

    def manifest(self, files: dict[str, str]) -> str:
        """Put a folder into the cache."""
        rows = [Entry(name, self.cache.add(text.encode())) for name, text in files.items()]
        return tree.add(self.cache, rows)

    def checkout(self, oid: str | None, path: Path | None = None, **options: Any):
        target = Target(
            path=path or self.data, oid=oid, is_executable=options.pop("executable", False)
        )
        return checkout([target], self.cache, self.index, work=self.work, **options)

    def files(self) -> dict[str, str]:
        found = sorted(p for p in self.data.rglob("*") if p.is_file())
        return {p.relative_to(self.data).as_posix(): p.read_text() for p in found}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
FOLDERS = st.dictionaries(PATHS, st.sampled_from("012"), max_size=6).map(
    lambda files: {
        path: text
        for path, text in files.items()
        if not any(other.startswith(f"{path}/") for other in files)
    }
)


@settings(max_examples=150, deadline=None)
@given(FOLDERS, FOLDERS, st.sampled_from(["copy", "hardlink", "symlink"]))
def test_from_any_saved_folder_to_any_other(before, after, link):
    """Files become folders and folders files; the dict is the oracle."""
    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        place = Place(Path(folder))
        oids = {name: place.manifest(files) for name, files in (("b", before), ("a", after))}
        for name, files in (("b", before), ("a", after)):
            place.checkout(oids[name], types=[link])
            assert place.files() == files
            assert scan.scan(place.data, place.index).oid == oids[name]
            assert place.checkout(oids[name], types=[link]) == []
        wanted = {parent for path in after for parent in Path(path).parents} - {Path()}
        folders = {p.relative_to(place.data) for p in place.data.rglob("*") if p.is_dir()}
        assert folders == wanted  # an emptied folder goes
        assert list(place.work.iterdir()) == []
        place.index.close()


def test_what_changed_is_said(place: Place):
    first = place.manifest({"a": "1", "b": "2"})
    second = place.manifest({"a": "1", "b": "3", "c": "4"})
    assert [(c.state, c.n_files) for c in place.checkout(first)] == [("added", 2)]
    assert [(c.state, c.n_files) for c in place.checkout(second)] == [("modified", 2)]
    assert place.checkout(second) == []
    assert [(c.state, c.path) for c in place.checkout(None)] == [("deleted", place.data)]
    assert place.checkout(None) == []


def test_the_index_knows_what_was_checked_out(place: Place):
    place.checkout(place.manifest({"a": "1", "s/b": "2"}))
    assert scan.scan(place.data, place.index).n_hashed == 0


def test_a_persons_empty_folder_stays(place: Place):
    place.checkout(place.manifest({"a": "1"}))
    (place.data / "mine").mkdir()
    place.checkout(place.manifest({"a": "2"}))
    assert (place.data / "mine").is_dir()


def test_an_empty_folder_is_made(place: Place):
    assert len(place.checkout(place.manifest({}))) == 1
    assert place.data.is_dir()


def test_a_file_gets_its_executable_bit(place: Place):
    oid = place.cache.add(b"#!/bin/sh\n")
    place.checkout(oid, executable=True)
    assert place.data.stat().st_mode & 0o100
    assert place.checkout(oid, executable=True) == []
    place.data.chmod(0o644)
    assert len(place.checkout(oid, executable=True)) == 1
    assert place.data.stat().st_mode & 0o100


def test_a_file_takes_the_place_of_a_saved_folder_and_back(place: Place):
    folder, file = place.manifest({"s/a": "1"}), place.cache.add(b"x")
    for oid in (folder, file, folder):
        place.checkout(oid)
        assert place.data.is_file() == (oid == file)


def unsaved(place: Place) -> dict[str, str]:
    """Cases in which a checkout would lose something: what lies there, what should."""
    return {
        "a changed file": place.manifest({"a": "9"}),
        "a file in the folder's place": place.manifest({"a": "9"}),
        "a folder in the file's place": place.cache.add(b"x"),
        "an ignored file in the folder's place": place.cache.add(b"y"),
    }


@pytest.mark.parametrize(
    ("case", "files", "ignored"),
    [
        ("a changed file", {"d/a": "mine"}, "none"),
        ("a file in the folder's place", {"d": "mine"}, "none"),
        ("a folder in the file's place", {"d/s/a": "mine"}, "none"),
        ("an ignored file in the folder's place", {"d/a.log": "mine"}, ".log"),
    ],
)
def test_unsaved_data_is_not_lost_without_force(place: Place, case, files, ignored: str):
    make.write(place.data.parent, files)
    oid = unsaved(place)[case]
    before = make.snapshot(place.data.parent)

    def skip(name: str, _is_dir: bool) -> bool:
        return name.endswith(ignored)

    with pytest.raises(Unsaved, match="unsaved data would be lost") as caught:
        place.checkout(oid, skip=skip)
    assert caught.value.exit_code == 1
    assert str(place.data) in caught.value.what
    assert "--force" in (caught.value.hint or "")
    assert make.snapshot(place.data.parent) == before
    assert len(place.checkout(oid, skip=skip, force=True)) == 1


def test_a_missing_object_is_named_and_nothing_is_changed(place: Place):
    place.checkout(place.manifest({"a": "1", "b": "2"}))
    second = place.manifest({"a": "8", "b": "9", "c": "7"})
    lost = [place.cache.add(text) for text in (b"8", b"7")]
    for oid in lost:
        place.cache.remove(oid)
    before = make.snapshot(place.data)
    with pytest.raises(NotFound, match=r"2 objects? .*the cache") as caught:
        place.checkout(second)
    assert all(oid in caught.value.what for oid in lost)
    assert "assay pull" in (caught.value.hint or "")
    assert make.snapshot(place.data) == before


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_a_damaged_object_is_named_moved_aside_and_nothing_is_changed(place: Place, link):
    place.checkout(place.manifest({"a": "1"}))
    second = place.manifest({"a": "8", "b": "9"})
    oid = place.cache.add(b"9")
    place.cache.path(oid).chmod(0o644)
    place.cache.path(oid).write_bytes(b"X")
    place.cache.path(oid).chmod(0o444)
    before = make.snapshot(place.data)
    with pytest.raises(Damaged, match=oid):
        place.checkout(second, types=[link])
    assert make.snapshot(place.data) == before
    assert not place.cache.has(oid)


def test_a_damaged_manifest_is_named(place: Place):
    oid = place.manifest({"a": "1"})
    place.cache.path(oid).chmod(0o644)
    place.cache.path(oid).write_bytes(b"[]")
    with pytest.raises(Damaged, match=oid):
        place.checkout(oid)
    assert not place.data.exists()


@pytest.mark.parametrize("relpath", ["../x", "/tmp/assay-escaped", "a/../../x", "."])
def test_a_manifest_that_leaves_its_folder_writes_nothing(place: Place, relpath: str):
    content = tree.dump([Entry(relpath, place.cache.add(b"escaped"))])
    oid = place.cache.add(content, suffix=".dir")
    with pytest.raises(Error, match="leaves its folder"):
        place.checkout(oid)
    assert list(place.data.parent.iterdir()) == []
    assert not Path("/tmp/assay-escaped").exists()


def test_nothing_is_written_through_a_link_inside_the_folder(place: Place, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    place.data.mkdir()
    (place.data / "s").symlink_to(tmp_path / "outside")
    with pytest.raises(Error, match="leaves its folder"):
        place.checkout(place.manifest({"a": "1", "s/b": "2"}))
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (place.data / "a").exists()


def test_nothing_is_written_through_a_link_in_the_folders_place(place: Place, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    place.data.symlink_to(tmp_path / "outside")
    with pytest.raises(Error, match="is a link to a folder") as caught:
        place.checkout(place.manifest({"a": "1"}), force=True)
    assert caught.value.where == str(place.data)
    assert list((tmp_path / "outside").iterdir()) == []
    place.checkout(place.cache.add(b"x"))  # a file replaces the link, not what it points to
    assert not place.data.is_symlink()
    assert (tmp_path / "outside").is_dir()


def test_a_pipe_in_the_way_is_named(place: Place):
    os.mkfifo(place.data)
    with pytest.raises(Error, match="neither a file nor a folder") as caught:
        place.checkout(place.cache.add(b"x"))
    assert caught.value.where == str(place.data)
