"""Many command lines of real DVC in one process: starting it takes longer than answering.

As a program (of `.peers/dvc`) it reads `[folder, [argument, ...]]` as JSON, one a line, and
answers each with a line, `[exit code, stdout, stderr]`; `Session` and `ask` start it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

PYTHON = Path(__file__).parents[2] / ".peers" / "dvc" / "bin" / "python"


class Answer(NamedTuple):
    """What one command line gave."""

    code: int
    out: str
    err: str


class Session:
    """A process of real DVC that goes on; use it in a `with`."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [str(PYTHON), __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def run(self, folder: Path, *arguments: str) -> Answer:
        """Run a command line in a folder."""
        to_dvc, from_dvc = self._process.stdin, self._process.stdout
        assert to_dvc is not None
        assert from_dvc is not None
        print(json.dumps([str(folder), arguments]), file=to_dvc, flush=True)
        answer = from_dvc.readline()
        assert answer, "DVC has ended"
        return Answer(*json.loads(answer))

    def done(self, folder: Path, *arguments: str) -> str:
        """Run a command line that goes well, and return its facts."""
        answer = self.run(folder, *arguments)
        assert answer.code == 0, answer
        return answer.out

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


def ask(questions: Iterable[tuple[Path, tuple[str, ...]]]) -> list[Answer]:
    """Run command lines of real DVC one after the other, each in its folder."""
    with Session() as session:
        return [session.run(folder, *arguments) for folder, arguments in questions]


def main() -> None:
    """Answer all questions."""
    from dvc.cli import main as dvc  # type: ignore[import-not-found,unused-ignore]

    questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    with Path(os.devnull).open() as nothing:  # a stage's command gets our input otherwise
        os.dup2(nothing.fileno(), 0)
    for line in questions:
        folder, arguments = json.loads(line)
        os.chdir(folder)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = dvc(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
            out.seek(0)
            err.seek(0)
            print(json.dumps([code, out.read().decode(), err.read().decode()]), file=answers)
        answers.flush()


if __name__ == "__main__":
    main()
