"""Names that lead out of a folder, hold newlines, or lie in each other: nothing goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import make
from tests.journeys.test_bad_data import DATA, assert_refused

RECORD = "outs:\n- md5: {oid}\n  hash: md5\n  path: {path}\n"


def manifest(project: Path, remote: Path, *relpaths: str) -> str:
    """Put a manifest with these paths on a remote, as somebody else may have made it."""
    cache = make.cache(project)
    rows = [{"md5": cache.add(b"1"), "relpath": name} for name in relpaths]
    oid = cache.add(json.dumps(rows).encode(), suffix=".dir")
    for one in (oid, rows[0]["md5"]):
        make.write(remote, {f"files/md5/{one[:2]}/{one[2:]}": cache.path(one).read_bytes()})
        cache.remove(one)
    make.write(project, {"d.dvc": RECORD.format(oid=oid, path="d")})
    return oid


@pytest.mark.parametrize("relpath", ["../out", "/tmp/assay-out", "a/../../out", ".", "a//b", ""])
def test_a_list_of_files_that_leads_out_of_its_folder_is_refused_by_pull(
    project: Path, tmp_path: Path, relpath: str
):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    oid = manifest(project, tmp_path / "store", "good", relpath)
    around = set(tmp_path.iterdir())
    assert_refused(project, ("pull",), 255, "leaves its folder", oid[2:], "nothing was written")
    assert set(tmp_path.iterdir()) == around
    assert not (project / "d").exists()
    assert not Path("/tmp/assay-out").exists()


@pytest.mark.parametrize("command", ["checkout", "pull"])
def test_a_list_of_files_does_not_lead_through_a_link(project: Path, tmp_path: Path, command: str):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    manifest(project, tmp_path / "store", "good", "link/file")
    (tmp_path / "outside").mkdir()
    (project / "d").mkdir()
    (project / "d" / "link").symlink_to(tmp_path / "outside")
    make.done(project, "fetch")
    assert_refused(project, (command, "--force"), 255, "leaves its folder")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    "path", ["../out", "/tmp/assay-out", ".git/hooks/pre-commit", ".dvc/config"]
)
def test_a_record_does_not_write_outside_of_data(project: Path, path: str):
    make.cache(project).add(b"1")
    make.write(project, {"bad.dvc": RECORD.format(oid=DATA, path=path)})
    assert_refused(project, ("checkout", "--force"), 255, "bad.dvc: ", path, "nothing was written")
    assert not (project.parent / "out").exists()


ODD = [
    "new\nline.txt",
    "tab\there",
    "quote'\".txt",
    "back\\slash",
    " blank ",
    "-r",
    "ü\u2028\u0085",
]


def test_names_with_newlines_are_data_like_any_other(project: Path, tmp_path: Path):
    make.write(project, {name: name for name in ODD} | {f"d/{name}": name for name in ODD})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "--no-profile", "d", "--", *ODD)
    assert make.done(project, "status") == "Data and pipelines are up to date.\n"
    assert make.git(project, "status", "--porcelain", "--", *[f":(literal){n}" for n in ODD]) == ""
    make.done(project, "push")
    make.commit(project)
    make.git(tmp_path, "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    make.done(clone, "pull")
    assert {name: (clone / name).read_text() for name in ODD} == {name: name for name in ODD}
    assert sorted(path.name for path in (clone / "d").iterdir()) == sorted(ODD)
    found = json.loads(make.done(clone, "data", "status", "--json", "--granular", "--unchanged"))
    assert {f"d/{name}" for name in ODD} | set(ODD) <= set(found["unchanged"])
    make.done(clone, "remove", "--outs", "--", *[f"{name}.dvc" for name in ODD])
    assert sorted(path.name for path in (clone / "d").iterdir()) == sorted(ODD)
    assert not any((clone / name).exists() for name in ODD)


@pytest.mark.parametrize(
    "command", [("checkout",), ("commit",), ("pull",), ("status",), ("repro",)]
)
def test_an_output_inside_another_output_is_refused(
    project: Path, tmp_path: Path, command: tuple[str, ...]
):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"d/x": "2", "d/y": "3"})
    make.done(project, "add", "--no-profile", "d")
    make.cache(project).add(b"1")
    make.write(project, {"nested.dvc": RECORD.format(oid=DATA, path="d/x")})
    what = "the output 'd/x' of 'nested.dvc' lies inside the output 'd' of 'd.dvc'"
    assert_refused(project, command, 255, "nested.dvc: ", what, "move one of them")
