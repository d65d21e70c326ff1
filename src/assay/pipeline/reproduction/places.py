"""Where Python looks for code: the folders of the person's tree are those of the work tree.

A project that is installed in place (`pip install -e .`), or that PYTHONPATH names, would be
imported from the person's tree, as it is now; the run is to have its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path


def moved(
    env: Mapping[str, str], root: Path, there: Path, *, has_packages: bool
) -> dict[str, str]:
    """Return variables in which folders of a tree are those of another.

    Parameters
    ----------
    root, there : Path
        The person's tree, and the work tree.
    has_packages : bool
        The packages are in an environment of their own: other folders that PYTHONPATH names are
        left out. In any case those of the tree are, that the work tree does not have.
    """
    found = dict(env)
    given = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    places = []
    for entry in given:
        path = Path(os.path.normpath(root / entry))
        inside = _inside(path, root, there)
        if inside is not None:
            places.append(str(inside))
        elif not has_packages and not _is_code_of(path, root):
            places.append(entry)
    installed = [_inside(path, root, there) for path in editable()]
    places += [str(path) for path in installed if path is not None]
    found.pop("PYTHONPATH", None)
    if places:
        found["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(places))
    programs = [Path(entry) for entry in env.get("PATH", "").split(os.pathsep) if entry]
    if programs:
        kept = [str(_inside(path, root, there) or path) for path in programs]
        found["PATH"] = os.pathsep.join(kept)
    return found


def _inside(path: Path, root: Path, there: Path) -> Path | None:
    """Return the folder of the work tree that stands for one of the person's, where it has it."""
    absolute = Path(os.path.normpath(root / path))
    if absolute != root and root not in absolute.parents:
        return None
    counterpart = there / absolute.relative_to(root)
    return counterpart if counterpart.is_dir() else None


def _is_code_of(path: Path, root: Path) -> bool:
    """Say whether a folder lies in a tree, and in no environment there: it came after the run."""
    within = [one for one in (path, *path.parents) if one == root or root in one.parents]
    return bool(within) and not any((one / "pyvenv.cfg").exists() for one in within)


def editable() -> Iterator[Path]:
    """Go through the folders from which packages are imported that are installed in place."""
    for one in metadata.distributions():
        text = one.read_text("direct_url.json")
        with contextlib.suppress(ValueError, AttributeError):
            if text and json.loads(text).get("dir_info", {}).get("editable"):
                yield from _folders(one)


def _folders(one: metadata.Distribution) -> Iterator[Path]:
    for file in one.files or ():
        path = Path(str(one.locate_file(file)))
        if file.suffix == ".pth" and path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            yield from (Path(line) for line in lines if line.startswith("/"))
        elif file.name.startswith("__editable__") and file.suffix == ".py" and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for package in re.findall(r"'[\w.]+': '(/[^']+)'", text):  # MAPPING of setuptools
                yield Path(package).parent
