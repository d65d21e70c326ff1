"""Which Python a stage runs with, and what is installed for it, where it is not Assay's own.

Assay may live in an environment of its own (pipx, uv tool), and a stage may name another one
(`cmd: .venv/bin/python train.py`). The interpreter is the first command of the stage that is a
Python or a script of one, else the `python` of its PATH. What a launcher brings (`uv run`,
`conda run`, `docker run`) is not seen from outside: then nothing is said here, and the stage's
process says it by itself where it calls Assay.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.base.files import write_atomic
from assay.ledger.environment import THREAD_VARIABLES, Environment, Software

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?\Z")
_LAUNCHERS = frozenset({
    "uv", "uvx", "pipx", "poetry", "pdm", "hatch", "pipenv", "rye", "tox", "nox", "pixi", "conda",
    "mamba", "micromamba", "docker", "podman", "apptainer", "singularity", "srun", "ssh",
})  # fmt: skip
_BEFORE = frozenset({"env", "exec", "nice", "time", "nohup", "command"})
_LONGEST = 30.0  # seconds that an interpreter may take to say what it has
_VARIABLES = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "HOME", "PYENV_VERSION",
)  # fmt: skip
_CHOICES = (".python-version", ".tool-versions", "mise.toml")

_LIST = """
import json, os, platform, re, sys
from importlib import metadata
sys.path[:] = [place for place in sys.path if place]
found = {}
for one in metadata.distributions():
    name = one.metadata["Name"]
    if name:
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), one.version)
print(json.dumps({
    "software": {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": [f"{name}=={version}" for name, version in sorted(found.items())],
        "hash_seed": None,
    },
    "places": sys.path,
}))
"""


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an interpreter says of itself, and the folders that it looks into."""

    software: Software
    places: list[str]
    changed: list[int | None] = []  # when each of them, and the interpreter, last did


def environment_of(
    lines: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    own: Environment,
) -> Environment | None:
    """Return the environment of commands; None where it is Assay's own, or not known.

    Parameters
    ----------
    own : Environment
        That of this process, whose host it shares.
    """
    python = find(lines, cwd=cwd, env=env)
    if python is None or _is_own(python):
        return None
    software = _read(python, cwd=cwd, env=env)
    if software is None:
        return None
    threads = {name: env[name] for name in THREAD_VARIABLES if name in env}
    return Environment(
        software=msgspec.structs.replace(software, hash_seed=env.get("PYTHONHASHSEED")),
        host=msgspec.structs.replace(own.host, threads=threads),
    )


def find(lines: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Path | None:
    """Return the interpreter that commands run with, as far as can be told."""
    path = env.get("PATH", os.defpath)
    words = [word for line in lines if (word := _program(line))]
    if any(Path(word).name in _LAUNCHERS for word in words):
        return None
    for word in words:
        found = _located(word, cwd=cwd, path=path)
        if found is not None and not _PYTHON.match(found.name):
            found = _of_script(found, cwd=cwd, path=path)
        if found is not None:
            return found
    return _located("python", cwd=cwd, path=path) or _located("python3", cwd=cwd, path=path)


def _program(line: str) -> str | None:
    """Return the first word of a command that is no setting of a variable."""
    try:
        words = shlex.split(line.strip().split("\n", 1)[0], comments=True)
    except ValueError:  # a quote that ends on another line
        return None
    for word in words:
        if not (word in _BEFORE or re.match(r"\w+=|-", word)):
            return word
    return None


def _located(word: str, *, cwd: Path, path: str) -> Path | None:
    if "/" in word:
        found = Path(os.path.normpath(cwd / word))
        return found if os.access(found, os.X_OK) and found.is_file() else None
    on_path = shutil.which(word, path=path)
    return None if on_path is None else Path(os.path.normpath(cwd / on_path))


def _of_script(script: Path, *, cwd: Path, path: str) -> Path | None:
    """Return the interpreter of a command such as `pytest`, by its first line."""
    try:
        with script.open("rb") as handle:
            line = handle.readline(1000)
    except OSError:
        return None
    words = line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []
    named = [word for word in words if _PYTHON.match(Path(word).name)]
    return _located(named[0], cwd=cwd, path=path) if named else None


def _is_own(python: Path) -> bool:
    """Say whether it is the interpreter of this process, with the same packages."""
    folder = python.parent.parent
    if (folder / "pyvenv.cfg").exists():
        return folder.resolve() == Path(sys.prefix).resolve()
    return sys.prefix == sys.base_prefix and python.resolve() == Path(sys.executable).resolve()


def _read(python: Path, *, cwd: Path, env: Mapping[str, str]) -> Software | None:
    """Return what an interpreter has; it is asked again where that may have changed."""
    named = [str(python), *(env.get(name, "") for name in _VARIABLES)]
    if _is_script(python):  # pyenv's, or its like: which one it starts is said by a file
        named += [f"{file} {_moment(file)}" for file in _choices(cwd, env)]
    name = hashlib.sha256(chr(0).join(named).encode(errors="surrogateescape")).hexdigest()
    kept = _folder(env) / f"{name[:16]}.json"
    known = _kept(kept)
    if known is not None and known.changed == _changes(python, known.places):
        return known.software
    said = _ask(python, cwd=cwd, env=env)
    if said is None:
        return None
    said = msgspec.structs.replace(said, changed=_changes(python, said.places))
    with contextlib.suppress(Error, OSError):  # the next stage asks again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, msgspec.json.encode(said))
    return said.software


def _folder(env: Mapping[str, str]) -> Path:
    """Return where it is kept what interpreters said: all projects of a person have them."""
    base = env.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "assay" / "interpreters"


def _choices(cwd: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that choose an interpreter for a folder."""
    for folder in (cwd, *cwd.parents):
        yield from (file for name in _CHOICES if (file := folder / name).exists())
    yield Path(env.get("PYENV_ROOT") or Path("~/.pyenv").expanduser()) / "version"


def _kept(file: Path) -> _Said | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Said)
    except (OSError, msgspec.MsgspecError):
        return None


def _ask(python: Path, *, cwd: Path, env: Mapping[str, str]) -> _Said | None:
    try:
        done = subprocess.run(
            [str(python), "-c", _LIST],
            cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=_LONGEST,
        )  # fmt: skip
        return msgspec.json.decode(done.stdout, type=_Said)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return None


def _changes(python: Path, places: Sequence[str]) -> list[int | None]:
    return [_moment(path) for path in (str(python), *places)]


def _moment(path: Path | str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 -- with each stage
    except OSError:
        return None


def _is_script(python: Path) -> bool:
    try:
        with python.open("rb") as handle:
            return handle.read(2) == b"#!"
    except OSError:
        return False
