"""Packages as they are installed: what an environment has, and the files of one of them.

A package of this interpreter is taken into another environment by links to its files, and by
scripts of its own for its commands, which name an interpreter.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from assay.base.errors import Error
from assay.ledger import packages
from assay.ledger.environment import Software

_SCRIPT = """\
#!{python}
import sys
from {module} import {first}
sys.exit({call}())
"""


def read(folder: Path) -> Software:
    """Ask the interpreter of an environment what it has."""
    done = subprocess.run(
        [str(folder / "bin" / "python"), "-I", str(packages.__file__)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Error("its interpreter does not start", where=folder, hint="remove the folder")
    return msgspec.json.decode(done.stdout, type=Software)


def has(name: str) -> bool:
    """Say whether this interpreter has a package."""
    return _find(name) is not None


def is_local(name: str) -> bool:
    """Say whether a package is worked on here: installed from a folder, or from there in place.

    Such a package is in no index; `direct_url.json` (PEP 610) tells. Assay itself is always at
    hand, so it counts as one.
    """
    if name == "assay":
        return True
    found = _find(name)
    text = packages.origin(found) if found is not None else None
    with contextlib.suppress(ValueError):
        return text is not None and "dir_info" in json.loads(text)
    return False


def is_code_of(name: str, folder: Path) -> bool:
    """Say whether a package is used in place from a folder, so that a work tree of it has its own.

    Assay's own code changes no result, so it counts as one.
    """
    found = _find(name)
    text = packages.origin(found) if found is not None else None
    with contextlib.suppress(ValueError, AttributeError):
        origin = json.loads(text or "{}")
        if origin.get("dir_info", {}).get("editable"):
            place = Path(unquote(urlsplit(str(origin.get("url"))).path))
            return name == "assay" or place == folder or folder in place.parents
    return name == "assay"


def link(name: str, folder: Path) -> None:
    """Take a package of this interpreter into an environment of the same Python version."""
    found = _find(name)
    if found is None:
        raise Error(f"the package '{name}' is not here", where=folder)
    base = Path(str(found.locate_file("")))
    target = _site_packages(folder)
    for file in found.files or ():
        if ".." in file.parts or file.is_absolute() or file.suffix == ".pyc":
            continue  # its commands are written below
        source = base / str(file)
        if source.is_file():
            _link(source, target / str(file))
    for point in found.entry_points.select(group="console_scripts"):
        _write_script(folder, point)


def _find(name: str) -> metadata.Distribution | None:
    """Return a package by its normal name; of two, the one that Python takes."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.distribution(name)
    for one in metadata.distributions():
        if re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower() == name:
            return one
    return None


def _site_packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python*")) / "site-packages"


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # two packages may share a folder, and a file
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:  # another file system, or one without links
            shutil.copy2(source, target)


def _write_script(folder: Path, point: metadata.EntryPoint) -> None:
    call = point.attr
    text = _SCRIPT.format(
        python=folder / "bin" / "python",
        module=point.module,
        first=call.partition(".")[0],
        call=call,
    )
    path = folder / "bin" / point.name
    if call and "/" not in point.name and not path.exists():
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
