"""The index saves reading, never costs truth, and can be thrown away."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.objects.index import Folder, Index, looks, mark_of, seen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    return path


def test_an_unchanged_file_is_known_to_the_next_process(file: Path, tmp_path: Path):
    first = Index(tmp_path / "index.db")
    first.put({str(file): seen(file.stat(), "oid")}, settled=True)
    first.close()
    again = Index(tmp_path / "index.db")
    assert again.get(str(file), file.stat()) == "oid"
    assert list(again.below(str(tmp_path))) == [file.name]
    assert again.below(str(tmp_path / "other")) == {}


def test_a_folder_whose_name_begins_alike_is_another_folder(tmp_path: Path):
    index = Index(tmp_path / "index.db")
    row = ((1, 2, 3, 4, 5), "oid")
    index.put({"/d/a": row, "/d/s/b": row, "/d-x/a": row, "/d0": row, "/dx": row}, settled=True)
    assert sorted(index.below("/d")) == ["a", "s/b"]


@given(st.integers(0, 4))
def test_any_changed_part_of_what_it_looks_like_makes_it_another_file(part: int):
    status = Path(__file__).stat()
    index = Index(Path(":memory:"))
    now = looks(status)
    other = (*now[:part], now[part] + 1, *now[part + 1 :])
    for look, wanted in ((now, "oid"), (other, None)):
        index.put({__file__: (look, "oid")}, settled=True)  # type: ignore[dict-item]
        assert index.get(__file__, status) == wanted
    index.close()


LOOKS = st.tuples(*[st.integers(0, 2**63)] * 5)


@given(st.dictionaries(st.text(max_size=3), LOOKS, max_size=3), st.data())
def test_a_mark_is_another_one_as_soon_as_a_file_is(files, data: st.DataObject):
    mark = mark_of(files)
    assert mark == mark_of(dict(files))
    other = dict(files)
    name = data.draw(st.sampled_from([*files, "new"]))
    if data.draw(st.booleans()) and name in other:
        del other[name]
    else:
        other[name] = data.draw(LOOKS)
    assert (mark == mark_of(other)) == (list(other.items()) == list(files.items()))


def test_what_a_folder_was_is_known_to_the_next_process(tmp_path: Path):
    first = Index(tmp_path / "index.db")
    first.put_folder("/d", Folder("mark", "oid.dir", 7, 2))
    first.close()
    again = Index(tmp_path / "index.db")
    assert again.folder("/d") == Folder("mark", "oid.dir", 7, 2)
    assert again.folder("/other") is None
    again.close()


def test_an_index_of_the_version_before_goes_on(file: Path, tmp_path: Path):
    path = tmp_path / "index.db"
    with sqlite3.connect(path) as old:
        old.execute(
            "create table file (path text primary key, device integer, inode integer,"
            " size integer, mtime_ns integer, ctime_ns integer, oid text) without rowid"
        )
        row = (str(file), *looks(file.stat()), "oid")
        old.execute("insert into file values (?, ?, ?, ?, ?, ?, ?)", row)
        old.execute("pragma user_version=1")
    old.close()
    index = Index(path)
    assert index.get(str(file), file.stat()) == "oid"
    assert index.folder("/d") is None
    index.close()


def test_an_edit_that_restores_size_and_mtime_is_seen(file: Path, tmp_path: Path):
    index = Index(tmp_path / "index.db")
    before = file.stat()
    index.put({str(file): seen(before, "oid")}, settled=True)
    time.sleep(0.02)  # the next tick of the clock
    file.write_bytes(b"y")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert index.get(str(file), file.stat()) is None


def test_a_file_changed_in_the_tick_before_it_was_looked_at_is_not_remembered(
    file: Path, tmp_path: Path
):
    """However long the hashing of the others took: a second edit may have the same times."""
    index = Index(tmp_path / "index.db")
    changed = file.stat().st_ctime_ns
    index.put({str(file): seen(file.stat(), "oid")}, began=changed + 1_000_000)
    assert index.get(str(file), file.stat()) is None
    index.put({str(file): seen(file.stat(), "oid")}, began=changed + 1_000_000_000)
    assert index.get(str(file), file.stat()) == "oid"


@pytest.mark.parametrize("bad", [b"", b"no database at all" * 100])
def test_a_file_that_is_no_index_is_thrown_away(file: Path, tmp_path: Path, bad: bytes):
    (tmp_path / "index.db").write_bytes(bad)
    index = Index(tmp_path / "index.db")
    assert index.get(str(file), file.stat()) is None
    index.put({str(file): seen(file.stat(), "oid")}, settled=True)
    index.close()
    assert Index(tmp_path / "index.db").get(str(file), file.stat()) == "oid"


@pytest.mark.parametrize("ask", ["get", "below", "put", "derived", "put_derived"])
def test_an_index_that_is_damaged_inside_is_thrown_away(file: Path, tmp_path: Path, ask: str):
    path = tmp_path / "index.db"
    index = Index(path)
    row = seen(file.stat(), "oid")
    index.put({f"/d/{n}": row for n in range(2000)} | {str(file): row}, settled=True)
    index.close()
    size = path.stat().st_size
    with path.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xff" * (size - 4096))
    damaged = Index(path)
    calls = {
        "get": lambda: damaged.get("/d/1", file.stat()),
        "below": lambda: damaged.below("/d"),
        "put": lambda: damaged.put({"/d/1": row}, settled=True),
        "derived": lambda: damaged.derived("oid", "profile"),
        "put_derived": lambda: damaged.put_derived("oid", "profile", "{}"),
    }
    assert not calls[ask]()
    damaged.put({str(file): row}, settled=True)
    damaged.close()
    assert Index(path).get(str(file), file.stat()) == "oid"


def test_an_index_that_another_process_holds_is_not_thrown_away(file: Path, tmp_path: Path):
    path = tmp_path / "index.db"
    index = Index(path)
    index.put({str(file): seen(file.stat(), "oid")}, settled=True)
    with sqlite3.connect(path) as other:
        other.execute("begin immediate")
        held = Index(path)
        assert held.get(str(file), file.stat()) == "oid"
        other.rollback()
    other.close()
    assert index.get(str(file), file.stat()) == "oid"


def test_without_a_place_for_it_there_is_one_in_memory(file: Path, tmp_path: Path):
    index = Index(tmp_path / "no" / "such" / "folder" / "index.db")
    index.put({str(file): seen(file.stat(), "oid")}, settled=True)
    assert index.get(str(file), file.stat()) == "oid"


def test_what_was_made_of_an_object_is_remembered_by_kind(tmp_path: Path):
    index = Index(tmp_path / "index.db")
    index.put_derived("oid", "profile", "one")
    index.put_derived("oid", "profile", "two")
    assert index.derived("oid", "profile") == "two"
    assert index.derived("oid", "schema") is None
