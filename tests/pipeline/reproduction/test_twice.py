"""A script that is run a second time finds what it found the first time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import make

COUNTS = """
import os, shutil
from pathlib import Path
import assay

with assay.run("counts"):
    os.mkdir("made")
    Path("made/x").write_text("1")
    for name in ("git.txt", "changed.txt", "added.txt", "loose.txt", "data.txt", "params.yaml"):
        found = int(Path(name).read_text().split()[-1])
        Path(name).write_text(f"n: {found + 1}")
        assay.log_metric(name, found)
    for name in ("gone.txt", "loose-gone.txt"):
        Path(name).unlink()
    shutil.rmtree("folder")
    Path("folder").symlink_to("made")
    Path("becomes").unlink()
    Path("becomes").mkdir()
    Path("becomes/x").write_text("1")
"""


def call(folder: Path) -> None:
    subprocess.run([sys.executable, "s.py"], cwd=folder, check=True, capture_output=True)


def again(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    shown = make.assay(folder, "reproduce", "--json", *arguments)
    assert shown.code == code, shown
    found: dict[str, Any] = json.loads(shown.out)
    return found


def test_what_it_wrote_over_removed_or_made_is_as_it_was(tmp_path: Path):
    files = {
        ".gitignore": "/params.yaml\n/added.txt\n", "s.py": COUNTS, "git.txt": "1",
        "changed.txt": "2", "gone.txt": "", "folder/a": "", "becomes": "", "data.txt": "3",
    }  # fmt: skip
    folder = make.write(make.project(tmp_path / "project"), files)
    make.done(folder, "add", "data.txt")
    make.commit(folder)
    uncommitted = {"changed.txt": "20", "added.txt": "4", "loose.txt": "5", "loose-gone.txt": ""}
    make.write(folder, {**uncommitted, "params.yaml": "n: 6"})
    make.git(folder, "add", "--force", "added.txt")
    call(folder)
    found = again(folder, "--twice")
    (part,) = found["stages"]
    assert (part["sameness"], part["deterministic"]) == ("identical", True)
    assert {one["name"]: one["found"] for one in part["metrics"]} == {
        "git.txt": "1.0", "changed.txt": "20.0", "added.txt": "4.0", "loose.txt": "5.0",
        "data.txt": "3.0", "params.yaml": "6.0",
    }  # fmt: skip
    assert found["causes"] == []


def test_a_script_that_commits_what_it_counts_begins_at_the_commit_of_the_record(tmp_path: Path):
    code = (
        "import subprocess, assay\nwith assay.run('r'):\n"
        "    n = int(open('n').read())\n    assay.log_metric('n', n)\n"
        "    open('n', 'w').write(str(n + 1))\n"
        "    subprocess.run(['git', 'commit', '-qam', 'next'], check=True)\n"
    )
    folder = make.write(make.project(tmp_path / "project"), {"s.py": code, "n": "1"})
    make.commit(folder)
    call(folder)
    (part,) = again(folder, "--twice")["stages"]
    assert (part["sameness"], part["deterministic"]) == ("identical", True)
