"""What a person who helps from afar has to know: versions, places, links that work here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.objects.links import LINK_TYPES, LinkType
from assay.project import git
from assay.project.options import scheme_of
from assay.project.workspace import Project

EXTRAS = {
    "serve": "uvicorn",
    "plots": "vl-convert-python",
    "s3": "obstore",
    "ssh": "asyncssh",
    "postgres": "psycopg",
    "sklearn": "scikit-learn",
    "onnx": "onnxruntime",
    "ray": "ray",
    "tune": "optuna",
    "privacy": "opacus",
}
"""The first package of each extra."""

_FICLONE = 0x40049409


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A folder, and the file system it lies on where that is known."""

    path: str
    file_system: str | None = None


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The state of this machine and, inside a project, of that.

    Attributes
    ----------
    extras : dict
        The version of the package that an extra needs, or None where it is not installed.
    links : list of str
        Ways to link from the cache to the workspace that work here.
    remotes : dict
        The scheme of each remote; a folder is `local`.
    scm : str
        `git`, or `none`.
    """

    assay: str
    python: str
    platform: str
    git: str | None
    extras: dict[str, str | None]
    project: Place | None = None
    cache: Place | None = None
    link_types: list[str] = []
    links: list[str] = []
    remotes: dict[str, str] = {}
    scm: str | None = None
    config: dict[str, str] = {}


def diagnose(project: Project | None, *, version: str) -> Diagnosis:
    """Look at this machine and, where there is one, at a project."""
    known = Diagnosis(
        assay=version,
        python=platform.python_version(),
        platform=platform.platform(),
        git=_git_version(),
        extras={extra: _version(package) for extra, package in EXTRAS.items()},
    )
    if project is None:
        return known
    folder = project.cache.folder.parent.parent
    return msgspec.structs.replace(
        known,
        project=_place(project.root),
        cache=_place(folder),
        link_types=list(project.config.link_types()),
        links=[type_ for type_ in LINK_TYPES if _works(project, type_)],
        remotes={
            name: scheme_of(r.url) or "local" for name, r in project.config.remotes().items()
        },
        scm="git" if project.uses_git else "none",
        config={level: str(p) for level, p in project.config.files.items() if p.exists()},
    )


def lines(found: Diagnosis) -> Iterator[str]:
    """Go through what was found, a line each."""
    yield f"Assay version: {found.assay}"
    yield f"Platform: Python {found.python} on {found.platform}"
    yield f"Git: {found.git or 'not found'}"
    there = [f"{extra} ({version})" for extra, version in found.extras.items() if version]
    yield f"Extras: {', '.join(there) or 'none'}"
    if found.project is None or found.cache is None:
        yield "Project: none here"
        return
    yield f"Project: {_shown(found.project)}"
    yield f"Cache: {_shown(found.cache)}"
    yield f"Cache type: {', '.join(found.link_types)}"
    yield f"Links that work here: {', '.join(found.links) or 'none'}"
    remotes = [f"{name} ({scheme})" for name, scheme in found.remotes.items()]
    yield f"Remotes: {', '.join(remotes) or 'none'}"
    yield f"Repository: {found.scm}"
    yield from (f"Configuration of the {level}: {path}" for level, path in found.config.items())


def _shown(place: Place) -> str:
    return place.path if place.file_system is None else f"{place.path} ({place.file_system})"


def _git_version() -> str | None:
    try:
        return git.git("--version", cwd=Path.cwd()).decode().strip().removeprefix("git version ")
    except Error:
        return None


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _place(path: Path) -> Place:
    return Place(path=str(path), file_system=_file_system(path))


def _file_system(path: Path) -> str | None:
    """Return the type of the file system that a path is on, with its device."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found: tuple[str | None, str] = None, ""
    real = os.path.realpath(path)
    for line in mounts.splitlines():
        device, point, kind, *_ = line.split(" ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(found[1]):
            found = f"{kind} on {device}", point
    return found[0]


def _works(project: Project, type_: LinkType) -> bool:
    """Say whether a link from the cache to the workspace can be made."""
    folder = project.cache.folder
    while not folder.exists():
        folder = folder.parent
    name = f".assay-link-{os.urandom(6).hex()}"
    source, target = folder / f"{name}-from", project.dvc_dir / f"{name}-to"
    try:
        source.write_bytes(b"x")
        _link(type_, source, target)
    except OSError:
        return False
    finally:
        for path in (source, target):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return True


def _link(type_: LinkType, source: Path, target: Path) -> None:
    match type_:
        case "reflink":
            with source.open("rb") as origin, target.open("xb") as clone:
                fcntl.ioctl(clone.fileno(), _FICLONE, origin.fileno())
        case "hardlink":
            target.hardlink_to(source)
        case "symlink":
            target.symlink_to(source)
        case "copy":
            shutil.copyfile(source, target)
