"""Build the environment that a record names: an interpreter and packages, each of one version.

Packages that this interpreter has in the same version are linked from here, which needs no
network; only the others are installed, by uv where that is there, else by pip, from an index or
from the repository or archive that they came from. Of a package that was installed from a folder
the code is not on record: the one that is here stands in for it, and that is said. An environment
is whole once its mark is written; one without is built anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.base.files import write_atomic
from assay.base.progress import counted
from assay.ledger import packages
from assay.ledger.environment import Software
from assay.pipeline.reproduction import installed
from assay.project.holding import holding
from assay.project.workspace import Project

_MARK = "assay.json"
_TOOLS = {"pip", "uv"}
"""What installs packages and changes no result; another version of them is as good."""

_MOST_TRIED = 20
"""Packages that are asked for one by one, to name all that cannot be had."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An environment: where it is, what it has, and what stands in for what."""

    folder: Path
    software: Software
    notes: tuple[str, ...]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the mark of a whole environment says."""

    software: Software
    notes: tuple[str, ...]


def build(
    project: Project, wanted: Software, here: Software, *, say: Callable[[str], None]
) -> Built:
    """Return the environment of a record, built unless it is there.

    Parameters
    ----------
    here : Software
        What this interpreter has.

    Raises
    ------
    Error
        If the interpreter or packages cannot be had; all of those that are missing are named.
    """
    wanted = msgspec.structs.replace(wanted, hash_seed=None)
    name = hashlib.sha256(msgspec.json.encode(wanted, order="sorted")).hexdigest()[:16]
    parent = project.assay_dir / "environments"
    parent.mkdir(exist_ok=True)
    folder = parent / name
    with holding(parent / f"{name}.lock"):
        kept = _kept(folder)
        if kept is None:
            say(f"Building the recorded environment in {folder}")
            shutil.rmtree(folder, ignore_errors=True)  # a killed process left it
            kept = _make(folder, wanted, here)
            write_atomic(folder / _MARK, msgspec.json.encode(kept))
    return Built(folder=folder, software=kept.software, notes=kept.notes)


def _kept(folder: Path) -> _Kept | None:
    try:
        return msgspec.json.decode((folder / _MARK).read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError):
        return None


def _make(folder: Path, wanted: Software, here: Software) -> _Kept:
    plan = _planned(wanted, here)
    interpreter = _interpreter(wanted)
    uv = shutil.which("uv")
    _make_empty(folder, interpreter, uv=uv, python=wanted.python)
    for name in plan.linked:
        installed.link(name, folder)
    if plan.missing:
        _install(plan.missing, folder, uv=uv, here=packages.versions(here.packages))
    software = installed.read(folder)
    notes = [*plan.notes]
    if software.python != wanted.python:
        notes.append(f"Python {software.python} stands in for {wanted.python}")
    notes.append(
        f"built of {counted(len(plan.linked), 'package')} that are here and "
        f"{len(plan.missing)} installed"
    )
    return _Kept(software=software, notes=tuple(notes))


class _Plan(msgspec.Struct, kw_only=True):
    """Where packages come from: by name those that are here, the others as pip is asked."""

    linked: list[str] = []
    missing: list[str] = []
    notes: list[str] = []


def _planned(wanted: Software, here: Software) -> _Plan:
    """Say where each package comes from, or raise where one can be had nowhere."""
    plan, nowhere = _Plan(), []
    there = packages.versions(here.packages)
    same_python = _minor(here) == _minor(wanted)  # packages of another do not fit
    for line in wanted.packages:
        name, version = packages.parse(line)
        present = there.get(name)
        is_same = packages.is_same(present, version) and same_python
        stands_in = present is not None and (
            installed.is_local(name) or packages.is_local(version)
        )
        if is_same or stands_in:
            plan.linked.append(name)
            if not is_same:
                versions = f"{packages.bare(present or '')} stands in for {packages.bare(version)}"
                plan.notes.append(
                    f"'{name}' is a local package, in no index: the present {versions}"
                )
        elif packages.is_local(version):
            nowhere.append(f"{name} {version}")
        elif name not in _TOOLS:
            plan.missing.append(line)
    if nowhere:
        raise Error(
            "the recorded environment cannot be built: of what was installed from a folder the "
            f"code is not on record, and it is not here: {', '.join(nowhere)}",
            hint="install it from its folder, and it stands in: pip install -e FOLDER; or use "
            "what is here: --environment current",
        )
    return plan


def _minor(software: Software) -> tuple[str, list[str]]:
    return software.implementation, software.python.split(".")[:2]


def _interpreter(wanted: Software) -> str | None:
    """Return a Python of the recorded version, or of its minor version; None asks uv for it."""
    import platform

    here = (platform.python_implementation(), platform.python_version())
    if here == (wanted.implementation, wanted.python):
        return sys.executable
    if wanted.implementation == "CPython":
        minor = ".".join(wanted.python.split(".")[:2])
        named = shutil.which(f"python{minor}")
        if named is not None:
            return named
        if shutil.which("uv") is not None:
            return None
        if here[1].startswith(f"{minor}.") and here[0] == "CPython":
            return sys.executable
    raise Error(
        f"{wanted.implementation} {wanted.python} of the record is not here",
        hint=f"install it so that 'python{wanted.python.rpartition('.')[0]}' is found, or uv, "
        "which brings it; or use what is here: --environment current",
    )


def _make_empty(folder: Path, interpreter: str | None, *, uv: str | None, python: str) -> None:
    if interpreter is None and uv is not None:
        command = [uv, "venv", "--quiet", "--no-project", "--python", python, str(folder)]
    else:
        command = [str(interpreter), "-m", "venv", "--without-pip", str(folder)]
    done = _run(command)
    if done.returncode:
        raise Error(
            f"no environment could be made: {_last(done)}",
            where=folder,
            hint=f"'{' '.join(command[:-1])} FOLDER' has to work; or use what is here: "
            "--environment current",
        )


def _install(
    wanted: Sequence[str], folder: Path, *, uv: str | None, here: Mapping[str, str]
) -> None:
    """Install packages, all of them, or say which cannot be had."""
    command = _installer(folder, uv=uv)
    done = _run([*command, *map(_asked, wanted)])
    if done.returncode == 0:
        return
    reasons = {}
    for package in wanted[:_MOST_TRIED]:
        one = _run([*command, _asked(package)]) if len(wanted) > 1 else done
        if one.returncode:
            reasons[package] = _last(one)
    if not reasons:
        reasons = {"the packages together": _last(done)}
    shutil.rmtree(folder, ignore_errors=True)
    lines = [f"{p}{_present(p, here)}: {reason}" for p, reason in reasons.items()]
    more = len(wanted) - _MOST_TRIED
    if more > 0:
        lines.append(f"and {counted(more, 'package')} that were not tried")
    raise Error(
        "the recorded environment cannot be built, these packages cannot be had:\n  "
        + "\n  ".join(lines),
        hint="without a network, name a folder that has them, PIP_FIND_LINKS=FOLDER "
        "(UV_FIND_LINKS for uv); or use what is here: --environment current",
    )


def _asked(package: str) -> str:
    """Return a package as it is asked for; pip takes a repository on disk without a name only."""
    _, address = packages.parse(package)
    return address if "+file:///" in address else package


def _present(package: str, here: Mapping[str, str]) -> str:
    version = here.get(packages.parse(package)[0])
    return f" (here is {version})" if version else ""


def _installer(folder: Path, *, uv: str | None) -> list[str]:
    python = str(folder / "bin" / "python")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--no-deps", "--python", python]
    options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--retries", "1"]
    if installed.has("pip"):
        return [sys.executable, "-m", "pip", "--python", python, "install", *options]
    done = _run([python, "-m", "ensurepip", "--default-pip"])
    if done.returncode:
        raise Error(
            "neither uv nor pip is here to install the recorded packages",
            hint="pip install uv; or use what is here: --environment current",
        )
    return [python, "-m", "pip", "install", *options]


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "VIRTUAL_ENV"}}
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )  # fmt: skip


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """Return the line in which a program says why it failed."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?i)error|cause:|╰─▶", line)]
    said = (errors or lines or [f"exit status {done.returncode}"])[-1]
    return re.sub(r"^(?i:error|cause):\s*|^╰─▶\s*", "", said)
