"""What lies at a path is found out with as little reading as is safe."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.objects import scan, tree
from assay.objects.cache import Cache
from assay.objects.index import Index
from tests import make


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index.db")


def settle(folder: Path) -> None:
    """Wait until the files are older than a tick of the clock, so that they can be remembered."""
    import time

    time.sleep(0.03)


def folder(tmp_path: Path) -> Path:
    return make.write(tmp_path / "d", {"a": "1", "s/b": "22", "s/ü": "333", "empty": ""})


def test_a_folder_is_the_list_of_its_files(tmp_path: Path, index: Index):
    found = scan.scan(folder(tmp_path), index)
    (tmp_path / "d" / "void").mkdir()
    assert [e.relpath for e in found.entries or []] == ["a", "empty", "s/b", "s/ü"]
    assert (found.entries or [])[0].oid == hashlib.md5(b"1").hexdigest()
    assert (found.size, found.n_files) == (6, 4)
    assert found.oid == tree.oid_of(found.entries or [])
    assert scan.scan(tmp_path / "d", index).oid == found.oid  # empty folders do not count


def test_the_second_look_reads_nothing_and_the_third_what_changed(tmp_path: Path, index: Index):
    path = folder(tmp_path)
    settle(path)
    assert [scan.scan(path, index).n_hashed for _ in range(2)] == [4, 0]
    make.write(path, {"a": "2"})
    assert scan.scan(path, index).n_hashed == 1
    assert scan.scan(path / "s" / "b", index).n_hashed == 0


def test_an_edit_that_restores_size_and_mtime_is_read(tmp_path: Path, index: Index):
    path = folder(tmp_path)
    settle(path)
    before = scan.scan(path, index)
    status = (path / "a").stat()
    make.write(path, {"a": "9"})
    os.utime(path / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    after = scan.scan(path, index)
    assert after.n_hashed == 1
    assert after.oid != before.oid


def test_storing_gives_the_content_and_keeps_each_object_once(tmp_path: Path, index: Index):
    path = make.write(tmp_path / "d", {"a": "1", "b": "1", "c": "2"})
    settle(path)
    cache = Cache(tmp_path / "cache")
    stored = scan.store(path, cache, index)
    assert stored.n_hashed == 3
    assert sorted(cache) == sorted({*scan.iter_oids(stored)})
    assert len(list(cache)) == 3  # two contents and the manifest
    again = scan.store(path, cache, index)
    assert (again.oid, again.n_hashed) == (stored.oid, 0)


def test_an_object_that_the_cache_lost_is_stored_again(tmp_path: Path, index: Index):
    path = make.write(tmp_path / "d", {"a": "1", "b": "2"})
    settle(path)
    cache = Cache(tmp_path / "cache")
    first = scan.store(path, cache, index)
    cache.remove(hashlib.md5(b"1").hexdigest())
    again = scan.store(path, cache, index)
    assert again.n_hashed == 1
    assert all(cache.verify(oid) for oid in scan.iter_oids(first))


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o654])
def test_a_file_with_any_executable_bit_is_executable(tmp_path: Path, index: Index, mode: int):
    (tmp_path / "f").write_text("x")
    (tmp_path / "f").chmod(mode)
    assert scan.scan(tmp_path / "f", index).is_executable == bool(mode & 0o111)


def test_links_to_files_are_followed_and_links_to_folders_passed_by(tmp_path: Path, index: Index):
    path = make.write(tmp_path, {"out/f": "x", "d/a": "1"}) / "d"
    (path / "link").symlink_to("../out/f")
    (path / "folder").symlink_to("../out")
    assert [e.relpath for e in scan.scan(path, index).entries or []] == ["a", "link"]


def test_what_is_skipped_is_not_looked_at(tmp_path: Path, index: Index):
    path = make.write(tmp_path / "d", {"a": "1", "tmp/b": "2"})
    os.mkfifo(path / "tmp" / "pipe")
    found = scan.scan(path, index, skip=lambda name, is_dir: is_dir and name.endswith("/tmp"))
    assert [e.relpath for e in found.entries or []] == ["a"]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _socket(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make_it", "what"),
    [
        (_fifo, "neither a file nor a folder"),
        (_socket, "neither a file nor a folder"),
        (_dangling, "the link points to nothing"),
    ],
)
def test_what_cannot_be_data_is_named_alone_and_in_a_folder(
    tmp_path: Path, index: Index, make_it, what: str
):
    (tmp_path / "d").mkdir()
    make_it(tmp_path / "d" / "it")
    for target in (tmp_path / "d", tmp_path / "d" / "it"):
        with pytest.raises(Error, match=what) as caught:
            scan.scan(target, index)
        assert caught.value.where == str(tmp_path / "d" / "it")
        assert caught.value.hint


def test_a_name_that_is_not_utf_8_is_named_alone_and_in_a_folder(tmp_path: Path, index: Index):
    (tmp_path / "d").mkdir()
    path = Path(os.fsdecode(os.fsencode(tmp_path / "d") + b"/b\xff"))
    path.write_text("x")
    for target in (tmp_path / "d", path):
        with pytest.raises(Error, match=r"b\\xff' is not UTF-8") as caught:
            scan.scan(target, index)
        assert "rename" in (caught.value.hint or "")


def test_a_dvcignore_inside_data_is_refused_as_dvc_does(tmp_path: Path, index: Index):
    path = make.write(tmp_path / "d", {"a": "1", "s/.dvcignore": "a\n"})
    with pytest.raises(Error, match="dvcignore") as caught:
        scan.scan(path, index)
    assert caught.value.where == str(path / "s" / ".dvcignore")


def test_a_path_that_is_not_there_is_said_to_be_so(tmp_path: Path, index: Index):
    with pytest.raises(NotFound, match="does not exist"):
        scan.scan(tmp_path / "nope", index)


def counted(index: Index) -> list[str]:
    """Return the list to which what an index is asked from now on is added."""
    asked: list[str] = []
    index.get("/", Path("/").stat())
    assert index._open is not None
    index._open.set_trace_callback(asked.append)
    return asked


def test_a_folder_that_is_as_it_was_costs_one_question(tmp_path: Path, index: Index):
    path = folder(tmp_path)
    settle(path)
    first = scan.scan(path, index)
    asked = counted(index)
    again = scan.scan(path, index)
    assert len(asked) == 1, asked
    assert (again.oid, again.size, again.n_files) == (first.oid, first.size, first.n_files)
    assert (len(again.entries or []), len(asked)) == (4, 1)
    assert [*(again.entries or [])] == [*(first.entries or [])]  # listed when asked for
    assert again.entries is not None
    assert again.entries[0] == (first.entries or [])[0]
    assert again.n_hashed == 0


def test_adding_what_is_there_costs_no_reading_and_one_listing(tmp_path: Path, index: Index):
    path, cache = folder(tmp_path), Cache(tmp_path / "cache")
    settle(path)
    scan.store(path, cache, index)
    asked = counted(index)
    assert scan.scan(path, index).n_hashed == 0
    assert len(asked) == 1, asked


def test_where_the_index_lost_files_of_a_folder_they_are_read(tmp_path: Path, index: Index):
    path = folder(tmp_path)
    settle(path)
    first = scan.scan(path, index)
    index._write("delete from file where path = ?", [(str(path / "a"),)])
    assert [*(scan.scan(path, index).entries or [])] == [*(first.entries or [])]


def _edit(path: Path) -> None:
    status = (path / "a").stat()
    (path / "a").write_text("9")
    os.utime(path / "a", ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = {
    "edited, with its old time": _edit,
    "touched": lambda path: os.utime(path / "a"),
    "gone": lambda path: (path / "a").unlink(),
    "new": lambda path: (path / "z").write_text(""),
    "renamed": lambda path: (path / "a").rename(path / "b"),
    "moved": lambda path: (path / "a").rename(path / "s" / "a"),
    "swapped": lambda path: (
        (path / "a").rename(path / "t"),
        (path / "empty").rename(path / "a"),
        (path / "t").rename(path / "empty"),
    ),
    "made a link": lambda path: (
        (path / "a").unlink(),
        (path / "a").symlink_to("s/b"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_in_a_folder_is_seen(tmp_path: Path, index: Index, change: str):
    path = folder(tmp_path)
    settle(path)
    scan.scan(path, index)
    scan.scan(path, index)
    CHANGES[change](path)
    fresh = scan.scan(path, Index(Path(":memory:")))
    assert scan.scan(path, index).oid == fresh.oid
    assert scan.scan(path, index).oid == fresh.oid


def test_a_folder_with_a_file_written_just_now_is_not_remembered_as_a_whole(
    tmp_path: Path, index: Index
):
    path = folder(tmp_path)
    scan.scan(path, index)  # within the tick in which it was written
    assert index.folder(str(path)) is None
    settle(path)
    scan.scan(path, index)
    assert index.folder(str(path)) is not None


def test_patterns_of_a_folder_count_and_names_of_all_folders_too(tmp_path: Path, index: Index):
    from assay.project.ignore import Ignore

    files = {"d/a": "", "d/a.log": "", "d/.dvc/x": "", "d/s/b.log": "", "d/s/.git": ""}
    make.write(tmp_path, files)
    named = scan.walk(str(tmp_path / "d"), skip=Ignore(tmp_path))
    assert sorted(named) == ["a", "a.log", "s/b.log"]
    make.write(tmp_path, {".dvcignore": "*.log\n"})
    assert sorted(scan.walk(str(tmp_path / "d"), skip=Ignore(tmp_path))) == ["a"]
