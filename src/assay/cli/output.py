"""The one printer: facts to stdout, as text or as one JSON document; hints to stderr."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
    names = " ".join(shlex.quote(name) for name in sorted(project.shown(p) for p in paths))
    note(f"\nTo track the changes with git, run:\n\n\tgit add {names}")
