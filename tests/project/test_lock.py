"""A lock that is written entry by entry is what the writer makes of the whole."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.project import emit, lock, yaml12
from assay.project.lock import Entry, Lock
from assay.project.stages import Row

VALUES = st.recursive(
    st.one_of(st.integers(), st.text("ab:#' é\n", max_size=5), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text("ab", min_size=1), inner, max_size=2)
    ),
    max_leaves=4,
)
ENTRIES = st.builds(
    Entry,
    cmd=st.sampled_from(["make a", "echo 'x: y' # z", ["one", "two"], "a\nb\n"]),
    deps=st.just((Row(path="in", oid="1" * 32, size=1),)),
    params=st.dictionaries(
        st.sampled_from(["params.yaml", "c.toml"]),
        st.dictionaries(st.text("abc", min_size=1), VALUES, max_size=2),
        max_size=1,
    ),
    outs=st.just((Row(path="out", oid="2" * 32, size=2),)),
)
NAMES = st.sampled_from(["a", "b", "c c", "d: e", "é", "1"])


def whole(entries: dict[str, Entry]) -> str:
    stages = {name: copy.deepcopy(lock.to_data(one)) for name, one in entries.items()}
    return emit.dump({"schema": "2.0", "stages": stages})


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(NAMES, ENTRIES, st.booleans()), min_size=1, max_size=8))
def test_any_order_of_entries_gives_the_text_of_all_of_them(tmp_path_factory, puts):
    path = tmp_path_factory.mktemp("lock") / "dvc.lock"
    there, now = {}, Lock(path)
    for name, entry, later in puts:
        now.put(name, entry, later=later)
        there[name] = entry
        if not later:
            assert path.read_text() == whole(there)
        now = now if later else Lock(path)
    now.write()
    assert path.read_text() == whole(there)
    assert Lock(path).put(name, entry) is False


def entry(number: int, **params: Any) -> Entry:
    row = Row(path="o", oid=str(number) * 32, size=number)
    return Entry(cmd="make", outs=(row,), params={"p.yaml": params} if params else {})


def test_new_entries_stand_in_the_order_of_the_plan_after_those_that_were_there(tmp_path: Path):
    path = tmp_path / "dvc.lock"
    Lock(path).put("old", entry(1))
    now = Lock(path)
    for name, place in (("d", 3), ("b", 1), ("old", 2), ("a", 0), ("c", 2)):
        now.put(name, entry(2), place=place)
    assert list(Lock(path).entries) == ["old", "a", "b", "c", "d"]


def test_what_is_left_for_later_is_not_written_before(tmp_path: Path):
    path = tmp_path / "dvc.lock"
    now = Lock(path)
    assert now.put("a", entry(1), later=True)
    assert not path.exists()
    assert now.get("a") == entry(1)
    now.write()
    assert path.read_text() == whole({"a": entry(1)})
    before = path.stat()
    now.write()
    assert path.stat().st_ino == before.st_ino


def test_the_same_entry_again_changes_nothing(tmp_path: Path):
    path = tmp_path / "dvc.lock"
    Lock(path).put("a", entry(1))
    before = path.stat()
    assert Lock(path).put("a", entry(1)) is False
    assert path.stat().st_ino == before.st_ino


def test_a_file_that_somebody_else_wrote_meanwhile_keeps_what_they_wrote(tmp_path: Path):
    path = tmp_path / "dvc.lock"
    mine = Lock(path)
    mine.put("a", entry(1))
    mine.put("b", entry(2), later=True)
    Lock(path).put("theirs", entry(3))
    mine.put("c", entry(4))
    assert list(Lock(path).entries) == ["a", "theirs", "b", "c"]


def test_comments_of_a_person_stay(tmp_path: Path):
    path = tmp_path / "dvc.lock"
    text = whole({"a": entry(1), "b": entry(2)}).replace("  b:", "  # mine\n  b:")
    path.write_text(text)
    assert Lock(path).put("a", entry(3))
    assert path.read_text() == text.replace("1" * 32, "3" * 32).replace("size: 1", "size: 3")


def test_a_value_that_stands_twice_has_an_anchor_as_in_dvc(tmp_path: Path):
    path = tmp_path / "dvc.lock"
    now = Lock(path)
    for number, name in enumerate("ab", 1):
        layers = [1, 2]
        now.put(name, entry(number, x=layers, y=layers))
    text = path.read_text()
    assert [text.count(f"&id00{n}") for n in (1, 2)] == [1, 1]
    assert yaml12.load(text, where="")["stages"]["b"]["params"]["p.yaml"] == {
        "x": layers, "y": layers,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["stages: [", "schema: '1.0'\n", "schema: '2.0'\nstagess: {}\n"])
def test_what_is_no_lock_is_refused_and_stays(tmp_path: Path, text: str):
    path = tmp_path / "dvc.lock"
    path.write_text(text)
    with pytest.raises(Error) as caught:
        Lock(path)
    assert (caught.value.where or "").startswith("dvc.lock")
    assert path.read_text() == text
