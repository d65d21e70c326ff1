"""Untracked links are kept with a run by their text, made again, and not written through."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.ledger.sdk import links
from assay.project import workspace
from tests import make

SCRIPT = """
from pathlib import Path
import assay

with assay.run("linked"):
    assay.log_text(Path("lnk.txt").read_text(), "seen.txt")
    assay.log_metric("files", len(list(Path("folder").iterdir())))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"s.py": SCRIPT, "real.txt": "words", "data/a": "1", "data/b": "2", "out/secret": "s"}
    return make.write(make.project(tmp_path / "project"), files)


def recorded(root: Path) -> dict[str, Any]:
    subprocess.run([sys.executable, "s.py"], cwd=root, check=True, capture_output=True)
    run: dict[str, Any] = json.loads(make.done(root, "runs", "show", "latest", "--json"))["run"]
    return run


def test_a_run_beside_untracked_links_is_done_again(root: Path):
    make.commit(root)
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "lnk.txt").symlink_to("real.txt")
    (root / "folder").symlink_to("data")
    (root / "sub").mkdir()
    (root / "sub" / 'odd "näme"').symlink_to(outside)
    (root / "dangling link").symlink_to("no/where")
    code = recorded(root)["code"]
    assert code["reproducible"], code["reason"]
    shown = make.assay(root, "reproduce", "--keep")
    assert shown.code == 0, shown
    assert "identical to the bit" in shown.out
    folder = next((root / ".assay" / "worktrees").glob("reproduce-*[!.]"))
    for name in ("lnk.txt", "folder", 'sub/odd "näme"', "dangling link"):
        assert (folder / name).readlink() == (root / name).readlink()
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_a_folder_that_git_knows_is_made_again(root: Path):
    make.write(root, {"folder/old": "x"})
    make.commit(root)
    make.git(root, "rm", "-q", "-r", "folder")
    (root / "folder").symlink_to("data")
    (root / "lnk.txt").symlink_to(root / "real.txt")
    assert recorded(root)["code"]["reproducible"]
    assert make.assay(root, "reproduce").code == 0


def test_a_repository_inside_makes_a_run_not_reproducible_and_the_reason_says_so(root: Path):
    make.commit(root)
    (root / "lnk.txt").symlink_to("real.txt")
    (root / "folder").symlink_to("data")
    nested = make.write(root / "nested", {"a": "1"})
    make.git(nested, "init", "-q")
    make.commit(nested)
    code = recorded(root)["code"]
    assert not code["reproducible"]
    assert "'nested/' is a git repository of its own" in code["reason"]


def test_an_untracked_file_of_a_record_is_not_written_through_a_link(root: Path):
    victim = root.parent / "victim"
    victim.write_text("mine")
    make.commit(make.write(root, {"folder/a": "1"}))
    (root / "lnk.txt").write_text("text")
    recorded(root)
    made = "diff --git a/lnk.txt b/lnk.txt\nnew file mode 120000\n--- /dev/null\n"
    patch = f"{made}+++ b/lnk.txt\n@@ -0,0 +1 @@\n+{victim}\n\\ No newline at end of file\n"
    oid = workspace.find(root).objects.add(patch.encode())
    with sqlite3.connect(root / ".assay" / "ledger.db") as db:
        db.execute("update run set code_diff = ?", [f"sha256:{oid}"])
    db.close()
    assert make.assay(root, "reproduce").code == 0
    assert victim.read_text() == "mine"


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in {".", "..", ".git"} and len(name.encode()) < 200)
texts = st.binary(min_size=1, max_size=60).filter(lambda text: b"\0" not in text)


@settings(max_examples=25, deadline=None)
@given(name=names, text=texts)
def test_the_patch_of_a_link_is_gits_own(name: str, text: bytes):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(["git", "init", "-q", root], check=True)
        os.symlink(text, os.fsencode(root / name))  # noqa: PTH211 -- bytes
        patch = links.patch(root, name)
        there = root / ".git" / "there"
        subprocess.run(["git", "init", "-q", there], check=True)
        subprocess.run(["git", "apply", "-"], cwd=there, input=patch, check=True)
        assert os.readlink(os.fsencode(there / name)) == text  # noqa: PTH115
        subprocess.run(["git", "add", "--", f":(literal){name}"], cwd=root, check=True)
        own = subprocess.run(
            ["git", "-c", "core.quotePath=false", "diff", "--cached"],
            cwd=root, check=True, capture_output=True,
        ).stdout  # fmt: skip
        lines = own.split(b"\n")
        assert b"\n".join(line for line in lines[:2] + lines[3:]) == patch
