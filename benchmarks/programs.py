"""The programs that are measured: where they are, and the surroundings in which they run."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from assay.base.errors import NotFound
from benchmarks import Command, Wrong

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ASSAY = BIN / "assay"
DVC = ROOT / ".peers" / "dvc" / "bin" / "dvc"

HASH = """
import hashlib, os, sys
n = 0
for top, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(f"{top}/{name}", "rb") as file:
            hashlib.md5(file.read()).hexdigest()
        n += 1
print(n)
"""
WALK = """
import os, sys
def walk(folder):
    n = 0
    for entry in os.scandir(folder):
        n += walk(entry.path) if entry.is_dir() else (entry.stat().st_mtime_ns > 0)
    return n
print(walk(sys.argv[1]))
"""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two tools, and a folder of its own for all that it works on."""

    name: str
    program: Path
    folder: Path

    @property
    def project(self) -> Path:
        """Where its project lies."""
        return self.folder / "project"

    @property
    def environ(self) -> dict[str, str]:
        """The variables of its processes."""
        return environment(self.folder)

    def command(
        self,
        *arguments: str,
        check: Callable[[str], object],
        prepare: Callable[[], object] = lambda: None,
        folder: Path | None = None,
    ) -> Command:
        """Return a command to time, in its project unless another folder is given."""
        return Command(
            arguments=(str(self.program), *arguments),
            folder=folder or self.project,
            environ=self.environ,
            check=check,
            prepare=prepare,
        )

    def run(self, *arguments: str) -> str:
        """Run a program in its project, outside of what is timed, and return what it prints."""
        done = subprocess.run(
            arguments,
            cwd=self.project,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Wrong(done.stderr.strip()[-2000:], where=" ".join(arguments))
        return done.stdout

    def repository(self) -> Path:
        """Make an empty project in a git repository."""
        self.project.mkdir(parents=True)
        self.run("git", "init", "-q", "-b", "main")
        self.run(str(ASSAY), "init")
        return self.project

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", "work")


def sides(folder: Path, *, dvc: Path = DVC) -> tuple[Side, Side]:
    """Return us and the peer, each with an empty folder."""
    if not dvc.exists():
        raise NotFound(
            "real DVC is not installed", where=dvc.relative_to(ROOT), hint="run 'make bench'"
        )
    ours = Side(name="ours", program=ASSAY, folder=folder / "ours")
    peer = Side(name="peer", program=dvc, folder=folder / "peer")
    for side in (ours, peer):
        (side.folder / "home").mkdir(parents=True)
    return ours, peer


def environment(folder: Path) -> dict[str, str]:
    """Return variables that keep a person's own settings out, and compiled bytecode in."""
    dropped = ("ASSAY_", "DVC_", "GIT_", "PYTHON")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    home = folder / "home"
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # stages say 'python'
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
        },
    }


def floor(
    *arguments: str,
    folder: Path,
    prints: str | None = None,
    prepare: Callable[[], object] = lambda: None,
    check: Callable[[str], object] | None = None,
) -> Command:
    """Return a command that does the least of what a case asks for."""
    return Command(
        arguments=arguments,
        folder=folder,
        environ=environment(folder),
        prepare=prepare,
        check=check or saying("" if prints is None else prints),
    )


def python(code: str, *arguments: str, folder: Path, prints: str = "") -> Command:
    """Return a floor in our Python: it has the same start-up as we have."""
    return floor(sys.executable, "-c", code, *arguments, folder=folder, prints=prints)


def saying(*parts: str) -> Callable[[str], None]:
    """Return the check that all parts are in what was printed."""

    def check(printed: str) -> None:
        for part in parts:
            if part not in printed:
                raise Wrong(f"it prints {printed.strip()[-300:]!r}, not {part!r}")

    return check


def machine(folder: Path) -> dict[str, str | int]:
    """Return what the figures depend on, without what changes from one minute to the next."""
    model = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    dvc = subprocess.run(
        [DVC, "--version"], capture_output=True, text=True, check=True, env=environment(folder)
    )
    return {
        "cpu": model[1] if model else os.uname().machine,
        "cores": os.cpu_count() or 1,
        "system": f"{os.uname().sysname} {os.uname().release}",
        "file_system": _file_system(folder),
        "python": ".".join(map(str, sys.version_info[:3])),
        "dvc": dvc.stdout.strip(),
    }


def _file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on: 'ext4'."""
    mounts = [line.split()[1:3] for line in _read("/proc/mounts").splitlines()]
    around = [mount for mount in mounts if folder.resolve().is_relative_to(mount[0])]
    return max(around, key=lambda mount: len(mount[0]), default=["", "unknown"])[1]


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 1)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def put_away(*paths: Path, trash: Path) -> None:
    """Move files and folders out of the way; one that is not there is fine.

    They are not removed: for minutes, ext4 passes over each inode that was freed, one by one, and
    whoever makes files then takes up to ten times as long.
    """
    trash.mkdir(exist_ok=True)
    for path in paths:
        if path.exists():
            path.rename(trash / secrets.token_hex(8))
