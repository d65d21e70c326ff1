"""`.dvc` files: DVC's bytes, a person's annotations kept, and errors with their line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.project import dvcfile
from assay.project.grammar import Source
from assay.project.stages import Row

OID = "b1946ac92492d2347c6235b4d2611184"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            Row(path="a.txt", oid=OID, size=6),
            f"outs:\n- md5: {OID}\n  size: 6\n  hash: md5\n  path: a.txt\n",
        ),
        (
            Row(path="d", oid=f"{OID}.dir", size=15, n_files=5),
            f"outs:\n- md5: {OID}.dir\n  size: 15\n  nfiles: 5\n  hash: md5\n  path: d\n",
        ),
        (
            Row(path="run.sh", oid=OID, size=10, is_executable=True),
            f"outs:\n- md5: {OID}\n  size: 10\n  isexec: true\n  hash: md5\n  path: run.sh\n",
        ),
    ],
)
def test_the_bytes_are_those_that_dvc_was_seen_to_write(tmp_path: Path, row: Row, text: str):
    assert dvcfile.write(tmp_path / "x.dvc", row)
    assert (tmp_path / "x.dvc").read_text() == text
    assert not dvcfile.write(tmp_path / "x.dvc", row)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\x85", exclude_categories=["Cc", "Cs"]),
    min_size=1,
    max_size=20,
).filter(lambda name: name not in {".", ".."})


@given(NAMES, st.text("0123456789abcdef", min_size=32, max_size=32), st.booleans())
def test_what_is_written_is_read_back_whatever_the_name(name: str, oid: str, executable: bool):
    import tempfile

    row = Row(path=name, oid=oid, size=3, is_executable=executable)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dvc"
        dvcfile.write(path, row)
        stage = dvcfile.parse(Source.of(path), path=path, root=Path(folder))
    assert stage.recorded == {name: row}
    assert stage.address == "x.dvc"


def test_annotations_comments_and_their_order_stay(tmp_path: Path):
    text = (
        "# from the survey\n"
        "desc: answers\n"
        "outs:\n"
        f"- md5: {OID}\n"
        "  size: 6\n"
        "  hash: md5\n"
        "  path: a.txt  # the raw ones\n"
        "  desc: raw\n"
        "  labels:\n"
        "  - one\n"
        "  push: false\n"
        "meta: {owner: ada}\n"
    )
    path = tmp_path / "a.txt.dvc"
    path.write_text(text)
    new = OID[::-1]
    assert dvcfile.write(path, Row(path="a.txt", oid=new, size=7))
    assert path.read_text() == text.replace(OID, new).replace("size: 6", "size: 7")


def test_a_file_that_records_something_else_is_not_overwritten(tmp_path: Path):
    path = tmp_path / "a.dvc"
    dvcfile.write(path, Row(path="b", oid=OID, size=1))
    before = path.read_text()
    for refuse in (
        lambda: dvcfile.refuse_other(path, "a"),
        lambda: dvcfile.write(path, Row(path="a", oid=OID, size=1)),
    ):
        with pytest.raises(Error, match="no output 'a'") as caught:
            refuse()
        assert "move it away" in (caught.value.hint or "")
    assert path.read_text() == before
    dvcfile.refuse_other(path, "b")
    dvcfile.refuse_other(tmp_path / "new.dvc", "new")


def out(text: str) -> str:
    return f"outs:\n- {text}\n  hash: md5\n"


@pytest.mark.parametrize(
    ("text", "where", "what", "hint"),
    [
        (out("pathx: a"), "x.dvc:2", "unknown key 'pathx'", "did you mean 'path'?"),
        ("out:\n- path: a\n", "x.dvc:1", "unknown key 'out'", "did you mean 'outs'?"),
        ("outs:\n- md5: abc\n", "x.dvc:2", "has no 'path'", "add 'path:' to it"),
        ("outs: a\n", "x.dvc:1", "'outs' of the file is 'a', not a list", ""),
        ("outs:\n- a\n", "x.dvc:2", "the output is 'a', not a mapping", ""),
        (out("path: 3"), "x.dvc:2", "'path' of the output is 3, not text", ""),
        (out("path: a\n  cache: maybe"), "x.dvc:3", "is 'maybe', not true or false", ""),
        (out(f"path: a\n  md5: {OID}\n  size: big"), "x.dvc:4", "is 'big', not a number", ""),
        (out("path: a\n  md5: 123"), "x.dvc:3", "'123' is not an MD5", ""),
        (f"outs:\n- path: a\n  md5: {OID}\n  hash: sha\n", "x.dvc:4", "'hash' is 'sha'", ""),
        ("outs:\n- path: [a\n", "x.dvc", "", ""),
        (out("path: a\n  path: b"), "x.dvc:3", "", ""),
        ("- a\n", "x.dvc:1", "the file is a list, not a mapping", ""),
        (out("path: a\n  files: [3]"), "x.dvc:3", "a file of the folder is 3, not a mapping", ""),
    ],
)
def test_a_broken_file_is_named_with_its_line_and_the_nearest_key(
    tmp_path: Path, text: str, where: str, what: str, hint: str
):
    with pytest.raises(Error) as caught:
        dvcfile.parse(Source("x.dvc", text), path=tmp_path / "x.dvc", root=tmp_path)
    assert (caught.value.where or "").startswith(where)
    assert what in caught.value.what
    assert hint in (caught.value.hint or "")


def test_an_import_an_empty_file_and_old_spellings_are_read(tmp_path: Path):
    def parse(text: str):
        path = tmp_path / "s" / "x.dvc"
        return dvcfile.parse(Source("s/x.dvc", text), path=path, root=tmp_path)

    assert parse("").outs == ()
    stage = parse(
        "md5: 990e86fc63b32529a9b45de7bf985802\nfrozen: true\nlocked: true\nwdir: ..\n"
        "deps:\n- path: s.csv\n  repo:\n    url: ../src\n    rev_lock: 9aa0\n"
        f"outs:\n- md5: {OID.upper()}\n  hash: md5\n  path: s2.csv\n  cache: false\n"
        "  persist: true\n"
    )
    assert (stage.is_import, stage.frozen, stage.is_data) == (True, True, True)
    assert stage.wdir == tmp_path
    assert stage.path("s2.csv") == tmp_path / "s2.csv"
    assert stage.recorded["s2.csv"].oid == OID
    assert (stage.outs[0].cache, stage.outs[0].persist) == (False, True)
    assert parse("outs:\n- md5: ''\n  path: a\n").recorded["a"].oid is None
