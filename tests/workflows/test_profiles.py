"""Profiles make themselves, once for a content."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.data import profile
from assay.objects import scan
from assay.project import workspace
from assay.project.workspace import Project
from assay.workflows import profiles
from tests import make, stages

TABLE = "x,y\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(50))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make.project(tmp_path / "project")


def kept(folder: Path) -> list[Path]:
    """Return the objects of our own store that are profiles."""
    store = folder / ".assay" / "objects" / "sha256"
    return [p for p in store.rglob("*") if p.is_file() and b'"n_rows"' in p.read_bytes()]


def derived(folder: Path, oid: str) -> str | None:
    return workspace.find(folder).index.derived(oid, "profile")


def added(folder: Path, name: str) -> str:
    (row,) = json.loads(make.done(folder, "add", "--json", name))
    return str(row["oid"]).removeprefix("md5:")


def test_the_same_content_is_profiled_once_wherever_it_lies(folder: Path):
    make.write(folder, {"one.csv": TABLE, "two.csv": TABLE})
    oid = added(folder, "one.csv")
    (first,) = kept(folder)
    stamp = first.stat().st_mtime_ns
    assert derived(folder, oid) is not None
    script = """
import sys
from assay.cli import run
code = run(["add", "two.csv"])
print(sorted({"duckdb", "numpy"} & set(sys.modules)))
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.endswith("[]\n"), "a profile that is there was made again"
    assert kept(folder) == [first]
    assert first.stat().st_mtime_ns == stamp


def test_a_table_that_a_stage_made_is_not_profiled_again_when_it_is_added(tmp_path: Path):
    text = "stages: {copy: {cmd: cp in.csv out.csv, deps: [in.csv], outs: [out.csv]}}"
    folder = stages.pipeline(tmp_path / "project", text, {"in.csv": TABLE})
    make.done(folder, "repro")
    made = kept(folder)
    make.write(folder, {"again.csv": TABLE})
    assert derived(folder, added(folder, "again.csv")) == derived(
        folder, stages.out_oid(folder, "out.csv")
    )
    assert kept(folder) == made


def test_a_profile_that_was_lost_is_made_again(folder: Path):
    make.write(folder, {"one.csv": TABLE})
    added(folder, "one.csv")
    (first,) = kept(folder)
    content = first.read_bytes()
    first.unlink()
    make.done(folder, "profile", "one.csv")
    assert first.read_bytes() == content


@pytest.mark.parametrize("how", ["option", "setting", "variable", "size"])
def test_no_profile_is_made_where_that_was_asked_for(
    folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
):
    make.write(folder, {"one.csv": TABLE})
    if how == "setting":
        make.done(folder, "config", "profile.auto", "false")
    elif how == "variable":
        monkeypatch.setenv("ASSAY_PROFILE_AUTO", "false")
    elif how == "size":
        make.done(folder, "config", "profile.max_size", "10")
    shown = make.assay(folder, "add", "one.csv", *(["--no-profile"] if how == "option" else []))
    assert shown.code == 0
    assert kept(folder) == []
    assert "50 rows" in make.done(folder, "profile", "one.csv")  # who asks gets it
    assert len(kept(folder)) == 1


def test_a_broken_table_is_added_all_the_same_and_it_is_said(folder: Path):
    make.write(folder, {"bad.csv": b'a,b\n1,2\n"3,4\n5,6,7\n'})
    shown = make.assay(folder, "add", "bad.csv")
    assert shown.code == 0
    assert "no profile of 'bad.csv': " in shown.err
    assert (folder / "bad.csv.dvc").exists()
    refused = make.assay(folder, "profile", "bad.csv")
    assert refused.code == 255
    assert "bad.csv" in refused.err


@pytest.mark.parametrize("name", ["text.txt", "folder"])
def test_what_is_no_table_has_no_profile_and_is_no_complaint(folder: Path, name: str):
    make.write(folder, {"text.txt": "words\n", "folder/a.png": b"\x89PNG"})
    shown = make.assay(folder, "add", name)
    assert shown.code == 0
    assert "Traceback" not in shown.err
    assert kept(folder) == []


def test_a_folder_of_tables_is_one_table(folder: Path):
    make.write(folder, {"parts/1.csv": "x,y\n1,a\n", "parts/2.csv": "x,y\n2,b\n3,c\n"})
    make.done(folder, "add", "parts")
    document: dict[str, Any] = json.loads(make.done(folder, "profile", "--json", "parts"))
    assert document["n_rows"] == 3
    assert len(kept(folder)) == 1


def test_a_profile_on_the_cells_of_another_has_its_edges(folder: Path):
    later = "x,y\n" + "".join(f"{n / 2},c\n" for n in range(60, 90))
    make.write(folder, {"then.csv": TABLE, "now.csv": later})
    make.done(folder, "profile", "then.csv", "-o", "then.json")
    by_file = make.done(folder, "profile", "now.csv", "--edges", "then.json", "--json")
    by_table = make.done(folder, "profile", "now.csv", "--edges", "then.csv", "--json")
    assert by_file == by_table
    reference = profile.load((folder / "then.json").read_bytes(), where="then.json")
    found = profile.load(by_file.encode(), where="now")
    edges = [
        {one.name: one.cells.edges for one in made.columns if one.cells}
        for made in (reference, found)
    ]
    assert edges[0] == edges[1]
    assert "x" in edges[0]
    own = profile.load(make.done(folder, "profile", "now.csv", "--json").encode(), where="now")
    assert {one.name: one.cells.edges for one in own.columns if one.cells} != edges[0]
    assert found.n_rows == 30


def test_a_profile_as_text_counts_rows_and_columns(folder: Path):
    make.write(folder, {"one.csv": TABLE})
    text = make.done(folder, "profile", "one.csv")
    assert text.endswith("one.csv: 50 rows, 2 columns\n")
    assert make.done(folder, "profile", "one.csv", "-o", "p.json") == ""
    assert json.loads((folder / "p.json").read_text())["n_rows"] == 50


def test_a_path_that_is_not_there_is_refused_with_a_hint(folder: Path):
    shown = make.assay(folder, "profile", "gone.csv")
    assert shown.code == 255
    assert "there is no such file or folder" in shown.err
    assert "assay checkout" in shown.err
    make.write(folder, {"a.txt": "words"})
    shown = make.assay(folder, "profile", "a.txt")
    assert shown.code == 255
    assert "this is not a table" in shown.err
    make.write(folder, {"one.csv": TABLE})
    assert "a.txt" in make.assay(folder, "profile", "one.csv", "--edges", "a.txt").err
    assert make.assay(folder, "profile", "one.csv", "--edges", "gone.json").code == 255


def test_profiles_of_what_was_made_are_told_by_content(folder: Path):
    make.write(folder, {"one.csv": TABLE, "two.txt": "words"})
    project: Project = workspace.find(folder)
    made = [(folder / n, scan.scan(folder / n, project.index)) for n in ("one.csv", "two.txt")]
    found, complaints = profiles.after(project, made)
    assert complaints == []
    assert list(found) == [made[0][1].oid]
    assert profiles.of(project, folder / "one.csv").n_rows == 50
