"""The manifest of a folder: DVC's bytes, and no path in it is believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.objects import tree
from assay.objects.cache import Cache
from assay.objects.tree import Entry

OID = "d41d8cd98f00b204e9800998ecf8427e"

PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda part: part not in {".", ".."} and part.lower() != ".git")
OIDS = st.text("0123456789abcdef", min_size=32, max_size=32)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    paths = draw(st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), unique=True))
    folders = {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
    return [Entry(path, draw(OIDS)) for path in paths if path not in folders]


@given(entries(), st.randoms())
def test_what_is_written_is_read_back_and_the_order_does_not_matter(rows, random):
    content = tree.dump(rows)
    assert tree.load(content, where="m") == sorted(rows)
    random.shuffle(rows)
    assert tree.dump(rows) == content


@given(entries())
def test_the_bytes_are_those_of_dvcs_own_call(rows):
    theirs = [{"md5": e.oid, "relpath": e.relpath} for e in sorted(rows, key=lambda e: e.relpath)]
    assert tree.dump(rows) == json.dumps(theirs, sort_keys=True).encode()


def test_dvcs_documented_example_has_its_hash():
    rows = [
        Entry("z", "9dd4e461268c8034f5c8564e155c67a6"),
        Entry("zero", "d41d8cd98f00b204e9800998ecf8427e"),
        Entry("run.sh", "3e2b31c72181b87149ff995e7202c0e3"),
        Entry('sub/ü/é "q".txt', "7b774effe4a349c6dd82ad4f4f21d34c"),
        Entry("sub/y.txt", "dfda6361a5637a57cbffd42f1749ef5f"),
    ]
    assert tree.oid_of(rows) == "81a2c2c44fe9c50c1dfc5de0c565892f.dir"
    assert len(tree.dump(rows)) == 347
    assert tree.oid_of([]) == tree.EMPTY


def test_paths_are_sorted_as_whole_strings():
    names = ["a0", "a/b", "a-b"]
    read = tree.load(tree.dump([Entry(n, OID) for n in names]), where="m")
    assert [e.relpath for e in read] == ["a-b", "a/b", "a0"]


def test_rows_with_more_keys_in_any_order_are_read():
    row = {"size": 1, "relpath": "a", "isexec": True, "md5": OID}
    assert tree.load(json.dumps([row]).encode(), where="m") == [Entry("a", OID)]


@pytest.mark.parametrize(
    "relpath",
    ["../x", "a/../../x", "..", "/etc/passwd", ".", "./a", "a/./b", "", "a//b", "a/", "a\0b"],
)
def test_a_path_that_leaves_the_folder_is_refused(relpath: str):
    content = json.dumps([{"md5": OID, "relpath": relpath}]).encode()
    with pytest.raises(Error, match="leaves its folder") as caught:
        tree.load(content, where="the manifest")
    assert caught.value.where == "the manifest"
    assert "nothing was written" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("a", OID), ("a", OID)], "names 'a' twice"),
        ([("a", OID), ("a/b", OID)], "'a' is a file and a folder"),
        ([("a", OID), ("a-b", OID), ("a/b/c", OID)], "'a' is a file and a folder"),
        ([("a", "xyz")], "'xyz' in it is not an MD5"),
        ([("a", OID.upper())], "is not an MD5"),
        ([("a", "../" + OID[3:])], "is not an MD5"),
        ([("a", 1)], "not text"),
        ([(1, OID)], "not text"),
        ([("\ud800", OID)], "not UTF-8"),
        ([("sub/.git/hooks/post-checkout", OID)], "belongs to git"),
    ],
)
def test_a_manifest_that_no_folder_can_have_is_refused(rows, what: str):
    content = json.dumps([{"md5": oid, "relpath": path} for path, oid in rows]).encode()
    with pytest.raises(Error, match=what) as caught:
        tree.load(content, where="m")
    assert "assay pull" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"a": 1}', b"[1]", b"[{}]", b"\xff", b"[" * 200_000]
)
def test_what_is_not_a_manifest_is_refused(content: bytes):
    with pytest.raises(Error, match="manifest is not valid"):
        tree.load(content, where="m")


def test_a_manifest_lies_in_the_cache_under_its_hash(tmp_path: Path):
    cache = Cache(tmp_path)
    oid = tree.add(cache, [Entry("a", OID)])
    assert cache.path(oid).name.endswith(".dir")
    assert tree.read(cache, oid) == [Entry("a", OID)]
