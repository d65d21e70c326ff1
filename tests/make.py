"""What tests are made of: projects in git repositories, files, and the command line."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from assay.objects.cache import Cache


class Shown(NamedTuple):
    """What a command line said: its exit code, facts and messages."""

    code: int
    out: str
    err: str


def environment(home: Path) -> dict[str, str]:
    """Return the variables that keep this machine's settings out of a test."""
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "ASSAY_RUN_SYSTEM_METRICS": "false",  # else a run that takes a second has metrics more
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
        },
    }


def memory() -> str | None:
    """Return a folder that lies in memory, where there is one: property tests write much."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def repository(folder: Path) -> Path:
    """Make an empty git repository."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    return folder


def project(folder: Path) -> Path:
    """Make an empty project in a git repository of its own."""
    from assay.project import workspace

    return workspace.init(repository(folder)).root


def commit(folder: Path, message: str = "work") -> str:
    """Commit all that git does not ignore, and return the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD").strip()


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files by their relative paths."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def assay(folder: Path, *arguments: str) -> Shown:
    """Run the command line in this process, in a folder."""
    from assay.cli import run

    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(arguments)
    return Shown(code, out.getvalue(), err.getvalue())


def done(folder: Path, *arguments: str) -> str:
    """Run the command line in this process, expect exit code 0, and return its facts."""
    shown = assay(folder, *arguments)
    assert shown.code == 0, shown
    return shown.out


def command(*arguments: str) -> list[str]:
    """Return the command line of a process of its own."""
    return [sys.executable, "-m", "assay", *arguments]


def process(
    folder: Path,
    *arguments: str,
    preexec_fn: Callable[[], object] | None = None,
    user: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Shown:
    """Run the command line in a process of its own, in a folder."""
    finished: Any = subprocess.run(
        command(*arguments),
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=preexec_fn,
        user=user,
        env={**os.environ, **(env or {})},
    )
    return Shown(finished.returncode, finished.stdout, finished.stderr)


def snapshot(folder: Path, *, without: tuple[str, ...] = (".git", ".assay")) -> dict[str, Any]:
    """Return all that lies in a folder, by relative path: bytes and mode, or a link's target."""
    found: dict[str, Any] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in without]
        for name in (*folders, *names):
            path = Path(place) / name
            status = path.lstat()
            if path.is_symlink():
                content: Any = path.readlink()
            elif path.is_file():
                content = path.read_bytes()
            else:
                content = None
            found[str(path.relative_to(folder))] = (status.st_mode, content)
    return found


def state(folder: Path) -> dict[str, Any]:
    """Return what a refused command must not change: all but the tools' own folders."""
    return snapshot(folder, without=(".git", ".assay", "cache", "tmp"))


def cache(folder: Path) -> Cache:
    """Return the cache of a project."""
    from assay.objects.cache import Cache

    return Cache(folder / ".dvc" / "cache" / "files" / "md5")
