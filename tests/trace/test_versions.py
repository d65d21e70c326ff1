"""Which version of a file a run had, by its commit and the patch that it kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.writer import Code, Writer
from assay.project import git, workspace
from tests import make

LINES = "".join(f"print({number})\n" for number in range(20))


def began(folder: Path, *commands: str) -> None:
    """Record runs of scripts with the code as it is now."""
    taken = git.snapshot(folder)
    project = workspace.find(folder)
    oid = project.objects.add(taken.patch) if taken.patch else None
    code = Code(commit=taken.commit, diff=None if oid is None else f"sha256:{oid}")
    with open_ledger(project.ledger_path) as ledger:
        for command in commands:
            Writer(ledger).start_run(
                name="it", kind="script", command=command, directory=".", code=code
            )


def version(folder: Path, thing: str) -> str:
    """Return what is said of the version that the one run of a file had."""
    shown = make.done(folder, "trace", thing)
    (line,) = [line for line in shown.splitlines() if "ran as" in line]
    return line.partition("(")[2].rstrip(")")


@pytest.mark.parametrize(
    "name", ["plain.py", "café.py", "my b/t.py", 'quo"te.py', "a[1].py", "wh?t.py", "back\\s.py"]
)
def test_the_version_of_a_run_is_the_one_with_its_changes_however_the_file_is_called(
    tmp_path: Path, name: str
):
    folder = make.project(tmp_path / "project")
    make.write(folder, {name: LINES})
    short = make.commit(folder)[:12]
    make.write(folder, {name: LINES + "# changed\n"})
    quoted = "'" + name + "'"
    began(folder, quoted)
    changed = f"this version: commit {short} with uncommitted changes to it"
    assert version(folder, name) == changed
    make.git(folder, "checkout", "-q", ".")
    assert version(folder, name).startswith("version md5:")


def test_a_renamed_file_has_its_version_and_its_former_name_has_none(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.write(folder, {"old.py": LINES})
    short = make.commit(folder)[:12]
    make.git(folder, "mv", "old.py", "née.py")
    make.write(folder, {"née.py": LINES + "# changed\n"})
    began(folder, "née.py", "old.py")
    changed = f"commit {short} with uncommitted changes to it"
    assert version(folder, "née.py") == f"this version: {changed}"
    assert version(folder, "old.py@HEAD") == f"version unknown: {changed}"


def test_a_file_that_was_only_added_to_git_has_its_version(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.git(folder, "rm", "-rq", "--cached", ".")
    make.write(folder, {"neu ü.py": LINES})
    make.git(folder, "add", "neu ü.py")
    assert git.head(folder) is None
    began(folder, "'neu ü.py'")
    assert version(folder, "neu ü.py") == "this version: added to git before its first commit"


def test_a_patch_that_is_none_leaves_the_version_unknown(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.write(folder, {"train.py": LINES})
    commit = make.commit(folder)
    project = workspace.find(folder)
    for content in (b"\xff no patch\n", b"diff --git a/train.py b/train.py\n--- nonsense\n"):
        code = Code(commit=commit, diff=f"sha256:{project.objects.add(content)}")
        with open_ledger(project.ledger_path) as ledger:
            Writer(ledger).start_run(
                name="it", kind="script", command="train.py", directory=".", code=code
            )
    lines = [line for line in make.done(folder, "trace", "train.py").splitlines() if "ran" in line]
    assert [line.partition("(")[2].partition(":")[0] for line in lines] == ["version unknown"] * 2
