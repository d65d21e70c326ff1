"""The documents: read, run and written again. `python -m tests.docs [FILE...]` is `make docs`.

A document is run from top to bottom, in a new folder, by one bash:

- a `console` block holds commands after `$ ` and what they print;
- another block is a file that is written, named by `<!-- file: NAME -->` before it;
- `<!-- not run: REASON -->` before a block leaves it out;
- `<!-- needs: PROGRAM -->` leaves the document out where there is no such program;
- `<!-- python of: PEER -->` lets `python` be that of `.peers/PEER` from there on, and
  `<!-- python of: assay -->` ours again;
- `<!-- starts with: DOCUMENT -->` begins where the other one says `<!-- end of start -->`, and
  `<!-- starts with: examples/bikes -->` in that example, with the data of 2011;
- what stands between `<!-- generated: NAME -->` and `<!-- end of generated -->` is written by us.

`...` in what is printed stands for anything, alone on a line for any lines. Ids of runs, commits,
times and durations are compared by their form, blanks as one blank. A command that is expected to
fail prints a line that begins with `error:`, or `echo $?` comes after it.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests import make, reference

ROOT = Path(__file__).parents[1]
FOLDER = "bikes"  # the folder in which a document begins
HOME = "/home/ada"  # what the documents call it

_MARK = "\x01"
_COMMENT = re.compile(r"<!--\s*(?P<name>[a-z ]+?)(?::\s*(?P<value>.*?))?\s*-->\Z")
_GENERATED = re.compile(
    r"(?P<head><!-- generated: (?P<name>[a-z ]+) -->\n).*?(?P<foot><!-- end of generated -->)",
    re.DOTALL,
)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command of a document, the lines (from 0) of what it prints, and whether it may fail."""

    text: str
    line: int
    first: int
    last: int
    expected: str
    may_fail: bool


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a document writes."""

    name: str
    line: int
    content: str


class Python(msgspec.Struct, frozen=True, kw_only=True):
    """Whose `python` it is from here on: a peer's, or "assay"."""

    name: str


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A block that is not run, and why."""

    line: int
    reason: str


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What a Markdown file asks to be done, in order."""

    path: Path
    steps: list[Command | File | Python]
    skipped: list[Skipped]
    starts_with: Path | None
    n_start_steps: int | None  # how many steps another document starts with
    python_of: str | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a command printed, and its exit status."""

    command: Command
    output: str
    status: int


def documents() -> list[Path]:
    """Return all Markdown files that tell a user something."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(path: Path) -> Document:
    """Read a document.

    Raises
    ------
    ValueError
        If a block is neither run, nor a file, nor left out for a reason.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    steps: list[Command | File | Python] = []
    skipped: list[Skipped] = []
    starts_with: Path | None = None
    n_start_steps: int | None = None
    python_of: str | None = None
    note: tuple[str, str] = ("", "")
    is_generated = False
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        comment = _COMMENT.match(line)
        if comment:
            note = (comment["name"], comment["value"] or "")
            if note[0] in {"generated", "end of generated"}:
                is_generated = note[0] == "generated"
            elif note[0] == "starts with":
                starts_with = (path.parent / note[1]).resolve()
            elif note[0] == "end of start":
                n_start_steps = len(steps)
            elif note[0] == "python of" and steps:
                steps.append(Python(name=note[1]))
            elif note[0] == "python of":
                python_of = note[1]
        elif line.startswith("```"):
            end = lines.index("```", number)
            block, start = lines[number:end], number
            number = end + 1
            if is_generated:
                continue
            if note[0] == "not run":
                skipped.append(Skipped(line=start, reason=note[1]))
            elif note[0] == "file":
                content = "".join(f"{one}\n" for one in block)
                steps.append(File(name=note[1], line=start, content=content))
            elif line == "```console":
                steps += _commands(block, start)
            else:
                raise ValueError(f"{path}:{start}: '{line}' is neither 'console' nor a file")
            note = ("", "")
        elif line.strip():
            note = ("", "")
    return Document(
        path=path, steps=steps, skipped=skipped, starts_with=starts_with,
        n_start_steps=n_start_steps, python_of=python_of,
    )  # fmt: skip


def _commands(block: Sequence[str], start: int) -> list[Command]:
    places = [n for n, line in enumerate(block) if line.startswith("$ ")]
    found = []
    for place, end in zip(places, [*places[1:], len(block)], strict=True):
        first = place + 1
        while first < end and block[first - 1].endswith("\\"):
            first += 1
        text = "\n".join([block[place][2:], *block[place + 1 : first]])
        expected = "\n".join(block[first:end])
        asks = end < len(block) and block[end] == "$ echo $?"
        found.append(
            Command(
                text=text,
                line=start + place + 1,
                first=start + first,
                last=start + end,
                expected=expected,
                may_fail=asks or re.search(r"^error:", expected, re.MULTILINE) is not None,
            )
        )
    return found


def start(document: Document, folder: Path) -> None:
    """Bring an empty folder to the state from which a document starts."""
    if document.starts_with is None:
        return
    if document.starts_with.is_dir():
        _start_in_example(document.starts_with, folder)
        return
    shutil.copytree(_begun(document.starts_with), folder, dirs_exist_ok=True, symlinks=True)


@functools.cache
def _begun(path: Path) -> Path:
    """Run the beginning of a document, once in a process, and return its folder."""
    parent = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = parent / FOLDER
    folder.mkdir()
    document = read(path)
    for answer in _run(document.steps[: document.n_start_steps], folder):
        if answer.status and not answer.command.may_fail:
            raise AssertionError(f"{path}:{answer.command.line}: {answer.output}")
    return folder


def _start_in_example(example: Path, folder: Path) -> None:
    unwanted = shutil.ignore_patterns("__pycache__", "data", "demo.py", "results.py")
    shutil.copytree(example, folder, dirs_exist_ok=True, ignore=unwanted)
    rows = (example / "data" / "bikes.csv").read_text().splitlines(keepends=True)
    of_2011 = [row for row in rows[1:] if row.split(",")[1] < "2012"]
    make.write(make.repository(folder), {"data/rentals.csv": "".join([rows[0], *of_2011])})
    for arguments in (["init"], ["add", "data/rentals.csv"]):
        make.done(folder, *arguments)
    make.commit(folder, "Bikes of 2011")


def run(document: Document, folder: Path) -> list[Answer]:
    """Do what a document says, in an empty folder, and return what its commands print."""
    start(document, folder)
    return _run(document.steps, folder, python_of=document.python_of)


def _run(
    steps: Sequence[Command | File | Python], folder: Path, *, python_of: str | None = None
) -> list[Answer]:
    script = folder.with_name(f"{folder.name}.sh")
    script.write_text("".join(_shell(number, step) for number, step in enumerate(steps)))
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", str(script)],
        cwd=folder,
        env=_environment(folder, python_of),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    text = done.stdout.decode(errors="replace")
    answers = []
    for output, number, status in re.findall(
        rf"(.*?){_MARK}(\d+) (\d+){_MARK}\n", text, re.DOTALL
    ):
        step = steps[int(number)]
        if isinstance(step, Command):
            shown = output.replace(os.path.realpath(folder), HOME).replace(str(folder), HOME)
            answers.append(Answer(command=step, output=shown.strip("\n"), status=int(status)))
    return answers


def _shell(number: int, step: Command | File | Python) -> str:
    if isinstance(step, Command):
        text = step.text
    elif isinstance(step, Python):
        text = f"export PATH={shlex.quote(_path(step.name))}"
    else:
        end = "END OF FILE"
        text = f"mkdir -p \"$(dirname {step.name})\" && cat > {step.name} <<'{end}'\n"
        text += f"{step.content}{end}"
    return (
        f"(exit ${{status:-0}})\n{text}\nstatus=$?\n"
        f"printf '{_MARK}%d %d{_MARK}\\n' {number} $status\n"
    )


def _path(python_of: str | None) -> str:
    peers = [] if python_of in {None, "assay"} else [ROOT / ".peers" / str(python_of) / "bin"]
    programs = [*peers, Path(sys.executable).parent, os.environ["PATH"]]
    return os.pathsep.join(str(place) for place in programs)


def _environment(folder: Path, python_of: str | None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "DVC_", "GIT_"))}
    return {
        **kept,
        **make.environment(folder),
        "PATH": _path(python_of),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "init.defaultBranch",
        "GIT_CONFIG_VALUE_0": "main",
        "LC_ALL": "C.UTF-8",
        "SHELL": "/bin/bash",
        "TZ": "UTC",
    }


def matches(expected: str, output: str) -> bool:
    """Say whether a command printed what a document says.

    Examples
    --------
    >>> matches("Ran fit in 2s.\\n...\\nmae  1.25", "Ran fit in 0.4s.\\na\\nb\\nmae 1.25")
    True
    >>> matches("mae 1.25", "mae 1.26")
    False
    """
    pattern = "".join(
        "(?:.*\\n)*" if line == "..." else rf"{_line_pattern(line)}\n"
        for line in _by_form(expected).split("\n")
    )
    return re.fullmatch(pattern, _by_form(output) + "\n") is not None


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("..."))


_FORMS = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?\b", "RUN"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"\b\d+m\d\ds\b|\b\d+(\.\d+)?(e-\d+)?s\b", "DURATION"),
    (r"(?<!md5:)\b[0-9a-f]{7,40}\b", "HASH"),
    (r"peak memory \d+(\.\d+)? \w+", "peak memory SIZE"),
    (r" by \S+ on \S+", " by WHOM on WHAT"),
    (r"CPython .* packages, .* cores of .*", "ENVIRONMENT"),
    (r"-{3,}", "---"),
    (r"[ \t]+", " "),
)


def _by_form(text: str) -> str:
    for pattern, form in _FORMS:
        text = re.sub(pattern, form, text)
    return "\n".join(line.strip() for line in text.strip("\n").split("\n"))


def generated(text: str) -> str:
    """Return a document's text with its generated parts written again."""
    return _GENERATED.sub(
        lambda m: f"{m['head']}\n{reference.PARTS[m['name']]().strip()}\n\n{m['foot']}", text
    )


def write_outputs(path: Path) -> list[str]:
    """Put what commands print now where a document says something else; return complaints."""
    complaints = []
    document = read(path)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / FOLDER
        folder.mkdir()
        answers = run(document, folder)
    lines = path.read_text(encoding="utf-8").splitlines()
    for answer in reversed(answers):
        command = answer.command
        if answer.status and not command.may_fail:
            complaints.append(f"{path}:{command.line}: exit {answer.status}: {answer.output}")
        elif not matches(command.expected, answer.output):
            output = answer.output.expandtabs(8).split("\n") if answer.output else []
            lines[command.first : command.last] = [line.rstrip() for line in output]
    if not complaints:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return complaints


def main(names: Sequence[str]) -> int:
    """Write generated parts and outputs again, of the documents named or of all."""
    chosen = [Path(name).resolve() for name in names] or documents()
    complaints = []
    for path in chosen:
        path.write_text(generated(path.read_text(encoding="utf-8")), encoding="utf-8")
        if read(path).steps:
            complaints += write_outputs(path)
    sys.stderr.write("".join(f"{complaint}\n" for complaint in complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
