"""Which files lines of a shell ran, and in which folder each was."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from assay.pipeline import command
from assay.trace import commands
from tests import make

SCRIPT = "if [ -d src ]; then\n  cd src\nfi\npython train.py\n"
LINES = "if [ -d src ]; then cd src; fi\npython train.py\n"


def ran(cmd: str | list[str]) -> list[str]:
    """Return what a stage with this command ran, by what its run has on record."""
    return commands.programs("stage", "\n".join(command.commands(cmd)), ".", root=Path("/p"))


@pytest.mark.parametrize(
    ("cmd", "files"),
    [
        ("python a.py # first\npython b.py", ["a.py", "b.py"]),
        ("cd src # go there\npython train.py", ["train.py"]),
        ("cd src # don't stay\npython train.py", ["train.py"]),
        ('python a.py # 5" of it\npython b.py # and "this.py"', ["a.py", "b.py"]),
        ("# nothing but old.py\npython b.py", ["b.py"]),
        ("python a.py --tag 'x # y' b.py", ["a.py", "b.py"]),
        ("python a.py --color #fff.py", ["a.py"]),
        ("python a#1.py", ["a#1.py"]),
        ("true;# it's off.py\npython b.py", ["b.py"]),
        ("python a.py \\\n  b.py # c.py", ["a.py", "b.py"]),
    ],
)
def test_a_comment_hides_nothing_but_itself(cmd: str, files: list[str]):
    assert ran(cmd) == files


@pytest.mark.parametrize(
    ("cmd", "files"),
    [
        (SCRIPT, ["src/train.py"]),
        (LINES, ["train.py"]),
        ("cd src &&\npython train.py", ["src/train.py"]),
        ("for i in 1 2; do\n  (cd src; python a.py)\n  python b.py\ndone", ["src/a.py", "b.py"]),
        ("cd src\npython train.py", ["train.py"]),
        ("set -e\ncd src\npython train.py", ["train.py"]),
        ("set -e\ncd src", []),
        (["cd src", LINES, "python b.py"], ["train.py", "b.py"]),
        ("cd src && (cd deep && ./go); ./come", ["src/deep/go", "src/come"]),
        ("cd -- src && ! python a.py", ["src/a.py"]),
        ("cd - && python a.py && cd x && python b.py", []),
        ("cd - && cd /p/x && python b.py && cd /q && python a.py", ["x/b.py"]),
        ("cd $WHERE && python a.py", []),
        ("cd && python a.py", []),
        ("if cd src; then ./go; else ./stay; fi", ["src/go", "src/stay"]),
    ],
)
def test_lines_are_in_the_folder_where_their_shell_is(cmd: str | list[str], files: list[str]):
    assert ran(cmd) == files


@pytest.mark.parametrize("cmd", [SCRIPT, LINES, LINES.splitlines(), f"set -e\n{LINES}"])
def test_where_a_file_is_said_to_be_is_where_the_shell_ran_it(
    tmp_path: Path, cmd: str | list[str]
):
    code = "import os\nprint(os.path.abspath(__file__))\n"
    make.write(tmp_path, {"train.py": code, "src/train.py": code})
    said = ""
    for line in command.commands(cmd):
        shell = ["/bin/sh", "-c", line]
        said += subprocess.run(
            shell, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout
    assert [str(tmp_path / name) for name in ran(cmd)] == said.splitlines()
