"""Two versions of a record are merged, or a person is asked: nothing is chosen silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.objects import tree
from assay.objects.cache import Cache
from assay.objects.tree import Entry
from assay.project.merging import Conflict, merge_entries, merge_files
from tests import make

OIDS = ["1" * 32, "2" * 32, "3" * 32]
SIDE = st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e"]), st.sampled_from(OIDS))


def entries(side: dict[str, str]) -> list[Entry]:
    return [Entry(path, oid) for path, oid in sorted(side.items())]


@given(SIDE, SIDE, SIDE)
def test_a_merge_has_the_changes_of_both_sides_and_no_others(base, ours, theirs):
    try:
        merged = {e.relpath: e.oid for e in merge_entries(*map(entries, (base, ours, theirs)))}
    except Conflict:
        assert any(
            ours.get(p) != theirs.get(p) and base.get(p) not in (ours.get(p), theirs.get(p))
            for p in {*ours, *theirs}
        )
        return
    for path in {*base, *ours, *theirs}:
        changed = [s.get(path) for s in (ours, theirs) if s.get(path) != base.get(path)]
        assert merged.get(path) == (changed[0] if changed else base.get(path))


@given(SIDE, SIDE, SIDE)
def test_the_order_of_the_sides_does_not_matter(base, ours, theirs):
    def outcome(*sides):
        try:
            return merge_entries(*map(entries, sides))
        except Conflict as conflict:
            return conflict.what

    assert outcome(base, ours, theirs) == outcome(base, theirs, ours)


def test_a_file_of_one_side_that_is_a_folder_of_the_other_is_a_conflict():
    with pytest.raises(Conflict, match="a/b"):
        merge_entries([], [Entry("a", OIDS[0])], [Entry("a/b", OIDS[1])])


def record(folder: Path, name: str, text: str) -> Path:
    return make.write(folder, {name: text}) / name


def row(oid: str, *, more: str = "") -> str:
    return f"outs:\n- md5: {oid}\n  hash: md5\n  path: d\n{more}"


def test_the_result_has_size_and_count_and_keeps_comments(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    one, two, three = (Entry(name, cache.add(name.encode())) for name in ("a", "bb", "ccc"))
    oids = [tree.add(cache, files) for files in ([one], [one, two], [one, three])]
    our = record(tmp_path, "our", f"# mine\n{row(oids[1], more='  desc: why')}\n")
    merge_files(
        cache,
        ancestor=record(tmp_path, "base", row(oids[0], more="  desc: why")),
        our=our,
        their=record(tmp_path, "their", row(oids[2], more="  desc: why")),
    )
    merged = tree.oid_of([one, two, three])
    text = our.read_text()
    assert text.startswith("# mine\n")
    assert f"md5: {merged}\n" in text
    assert "size: 6\n" in text
    assert "nfiles: 3\n" in text
    assert "desc: why\n" in text
    assert tree.read(cache, merged) == [one, two, three]


def test_of_two_files_the_one_that_changed_is_taken(tmp_path: Path):
    base, same, new = (record(tmp_path, n, row(o)) for n, o in zip("abc", [*"112"], strict=True))
    merge_files(Cache(tmp_path / "cache"), ancestor=base, our=same, their=new)
    assert same.read_text() == new.read_text()


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        (row(OIDS[1]), row(OIDS[2]), "two files"),
        (row(OIDS[1], more="  desc: x\n"), row(OIDS[2]), "different options"),
        (f"{row(OIDS[1])}deps:\n- path: x\n", f"{row(OIDS[2])}deps:\n- path: x\n", "import"),
        ("outs: []\n", row(OIDS[2]), "not a record of one output"),
    ],
)
def test_what_cannot_be_merged_stays_as_ours_with_the_next_step(tmp_path, ours, theirs, says):
    our = record(tmp_path, "our", ours)
    with pytest.raises(Conflict, match=says):
        merge_files(
            Cache(tmp_path / "cache"),
            ancestor=record(tmp_path, "base", row(OIDS[0])),
            our=our,
            their=record(tmp_path, "their", theirs),
        )
    assert our.read_text() == ours


def test_a_list_that_is_not_here_is_named(tmp_path: Path):
    with pytest.raises(Error, match="list of files of ours") as caught:
        merge_files(
            Cache(tmp_path / "cache"),
            ancestor=record(tmp_path, "base", ""),
            our=record(tmp_path, "our", row(f"{OIDS[0]}.dir")),
            their=record(tmp_path, "their", row(f"{OIDS[1]}.dir")),
        )
    assert "assay fetch" in (caught.value.hint or "")
