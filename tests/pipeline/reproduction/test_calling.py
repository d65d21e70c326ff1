"""A script is called again as it was typed: options of the interpreter, module, arguments."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import make

CODE = """
import sys, warnings
import assay

with assay.run("how", params={"argv": sys.argv[1:]}):
    assay.log_metric("optimize", sys.flags.optimize)
    assay.log_metric("dev", sys.flags.dev_mode)
    assay.log_metric("warnings", len(sys.warnoptions))
"""


def made(folder: Path) -> Path:
    root = make.write(
        make.project(folder / "project"),
        {"s.py": CODE, "pkg/__init__.py": "", "pkg/train.py": CODE, "pkg/__main__.py": CODE},
    )
    make.commit(root)
    return root


def call(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)


def again(folder: Path) -> tuple[str, dict[str, Any]]:
    shown = make.assay(folder, "reproduce")
    assert shown.code == 0, shown
    return shown.out, json.loads(make.done(folder, "runs", "show", "latest", "--json"))["run"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a recorded run of its script; no test may change its files."""
    folder = made(tmp_path_factory.mktemp("called"))
    call(folder, "s.py", "--lr", "0.1")
    return folder


def recorded_as(folder: Path, command: str) -> None:
    with sqlite3.connect(folder / ".assay" / "ledger.db") as db:
        db.execute("update run set command = ? where kind = 'script'", [command])
    db.close()


TELLS = "from assay.ledger.sdk import calling\nprint(calling.command())\n"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("-O s.py --x 1", "python -O s.py --x 1"),
        ("-OO -X dev s.py", "python -OO -X dev s.py"),
        ("-W error -u s.py -O", "python -W error -u s.py -O"),
        ("-OW ignore::ImportWarning s.py", "python -OW ignore::ImportWarning s.py"),
        ("-OWignore::ImportWarning s.py", "python -OWignore::ImportWarning s.py"),
        ("-Xdev -Werror -m pkg.train --lr 0.1", "python -Xdev -Werror -m pkg.train --lr 0.1"),
        ("-m pkg", "python -m pkg"),
        ("-Om pkg.train", "python -O -m pkg.train"),
        ("s.py --lr 0.1", "s.py --lr 0.1"),
    ],
)
def test_what_was_typed_is_the_command_of_the_run(tmp_path: Path, typed: str, shown: str):
    names = ("s.py", "pkg/__init__.py", "pkg/train.py", "pkg/__main__.py")
    make.write(tmp_path, {name: TELLS if "init" not in name else "" for name in names})
    printed = subprocess.run(
        [sys.executable, *typed.split()], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert printed.stdout == f"{shown}\n"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("-OWignore::ImportWarning s.py -O", "python -OWignore::ImportWarning s.py -O"),
        ("-Om pkg.train --lr 0.1", "python -O -m pkg.train --lr 0.1"),
        ("-m pkg", "python -m pkg"),
    ],
)
def test_what_was_typed_is_called_again(tmp_path: Path, typed: str, shown: str):
    folder = made(tmp_path)
    call(folder, *typed.split())
    make.write(folder, {"s.py": "raise SystemExit(3)\n", "pkg/train.py": "raise SystemExit(3)\n"})
    out, recorded = again(folder)
    assert f"> {shown}\n" in out
    assert "identical to the bit (0 outputs and 3 metrics of 1 script)" in out
    assert recorded["command"] == shown


def test_a_record_of_before_which_has_the_path_of_a_modules_file_is_called_as_that(project: Path):
    recorded_as(project, f"{project}/pkg/train.py --lr 0.1")
    out, _ = again(project)
    assert "pkg/train.py --lr 0.1" in out
    assert "identical to the bit" in out


@pytest.mark.parametrize(
    "command", ["python -O -c", "python -m", "python -X dev -", "-m", "python -O", "''"]
)
def test_what_is_in_no_file_is_refused_with_its_command(project: Path, command: str):
    recorded_as(project, command)
    shown = make.assay(project, "reproduce")
    assert shown.code == 255
    assert f"the command of the run cannot be called again: {command}\n" in shown.err
    assert "put the code into a file" in shown.err
