"""The one printer: facts to stdout, as text or as one JSON document; hints to stderr."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import click
import msgspec

from assay.base.files import explain, write_atomic
from assay.project import git
from assay.project.workspace import Project

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def show(document: Any, *, as_json: bool, text: str) -> None:
    """Print a document: as JSON, or as the text made from it (nothing if it is empty)."""
    if as_json:
        sys.stdout.write(_json(document).decode())
    elif text:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _json(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2) + b"\n"


def spelled(document: Any) -> Any:
    """Return a document in which a number that JSON has not is text: "NaN", "-Infinity".

    Examples
    --------
    >>> spelled({"loss": float("nan"), "steps": [1.5, float("-inf")]})
    {'loss': 'NaN', 'steps': [1.5, '-Infinity']}
    """
    return _spelled(msgspec.to_builtins(document, enc_hook=str))


def _spelled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _spelled(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(one) for one in value]
    return value


def write_json(path: Path, document: Any) -> None:
    """Write a document as `show` prints it to a file, making its folder where it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, path.parent) from error
    write_atomic(path, _json(document))


def did(document: Any, *, as_json: bool, text: str) -> None:
    """Print what a command did, as `show` does; with `-q` only the JSON that was asked for."""
    if as_json or not is_quiet():
        show(document, as_json=as_json, text=text)


def write_on(stream: TextIO, text: str) -> None:
    """Print while work goes on; where the reader is gone, as `head` is, the work does not end."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let all that is still printed go nowhere: its reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def note(text: str) -> None:
    """Print a hint for people, to stderr; silent with `-q`."""
    if not is_quiet():
        sys.stderr.write(text + "\n")


def is_quiet() -> bool:
    """Say whether the command line has `-q`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.find_root().params.get("quiet"))


def suggest_git_add(project: Project, files: Iterable[Path]) -> None:
    """Stage files that were written, where `core.autostage` says so; else say how."""
    paths = list(dict.fromkeys(files))
    if not paths or not project.uses_git:
        return
    if project.config.flag("core", "autostage"):
        git.stage(
            project.git_root, [p.relative_to(project.git_root).as_posix() for p in paths]
        )  # fmt: skip
        return
    names = [_named(name) for name in sorted(map(project.shown, _to_add(project, paths)))]
    if names:
        note(f"\nTo track the changes with git, run:\n\n\tgit add {' '.join(names)}")


def _named(path: str) -> str:
    """Return a path as it can be pasted, and as no command takes for an option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


_MOST_ASKED = 1000  # a command line has an end


def _to_add(project: Project, paths: list[Path]) -> list[Path]:
    """Return those of the files that git does not have like this already."""
    root = project.git_root
    inside = {p.relative_to(root).as_posix(): p for p in paths if p.is_relative_to(root)}
    if not 0 < len(inside) <= _MOST_ASKED:
        return paths
    try:
        out = git.git(
            "ls-files", "-z", "--modified", "--others", "--",
            *(f":(literal){name}" for name in inside), cwd=root,
        )  # fmt: skip
    except git.Failed:
        return paths
    listed = {os.fsdecode(name) for name in out.split(b"\0") if name}
    return [
        p for p in paths if p not in inside.values() or p.relative_to(root).as_posix() in listed
    ]
