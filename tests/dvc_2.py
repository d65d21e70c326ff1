r"""A project as DVC 2 left it: text hashed with `\r\n` as `\n`, objects beside `files/md5`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from tests import make

FILES: dict[str, bytes] = {
    "a.txt": b"1\r\n2\r\n",
    "d/crlf": b"a\r\nb\r\n",
    "d/bin": b"\0\r\n",
    "d/sub/empty": b"",
    "clean.csv": b"3",
}
PIPELINE = """stages:
  sort:
    cmd: sort a.txt > clean.csv
    deps: [a.txt]
    outs: [clean.csv]
"""


def md5(content: bytes) -> str:
    """Return the MD5 of DVC 2, told apart from ours: written from the specification alone."""
    digest = hashlib.md5()
    for start in range(0, len(content), 1 << 20):
        chunk = content[start : start + (1 << 20)]
        head = chunk[:512]
        strange = sum(not (0x20 <= byte <= 0x7E or byte in b"\n\r\t\f\b") for byte in head)
        is_text = 0 not in head and strange / len(head) <= 0.30
        digest.update(chunk.replace(b"\r\n", b"\n") if is_text else chunk)
    return digest.hexdigest()


def project(
    folder: Path, *, remote: Path | None = None, files: Mapping[str, bytes] = FILES
) -> Path:
    """Make a committed project of DVC 2 with all its data in the cache, and on a remote."""
    make.project(folder)
    make.write(folder, files)
    oids = {name: md5(content) for name, content in files.items()}
    names = sorted(name.removeprefix("d/") for name in files if name.startswith("d/"))
    rows = [{"md5": oids[f"d/{name}"], "relpath": name} for name in names]
    listed = json.dumps(rows).encode()
    objects = {oids[name]: content for name, content in files.items()}
    oids["d"] = f"{hashlib.md5(listed).hexdigest()}.dir"
    objects[oids["d"]] = listed
    for root in (folder / ".dvc" / "cache", *([remote] if remote is not None else [])):
        for oid, content in objects.items():
            place = make.write(root, {f"{oid[:2]}/{oid[2:]}": content}) / oid[:2] / oid[2:]
            place.chmod(0o444)
    size = sum(len(files[f"d/{name}"]) for name in names)
    sizes = {name: len(content) for name, content in files.items()}
    make.write(
        folder,
        {
            "a.txt.dvc": f"# mine\nouts:\n- md5: {oids['a.txt']}\n  size: {sizes['a.txt']}\n"
            "  path: a.txt\n",
            "d.dvc": f"outs:\n- md5: {oids['d']}\n  size: {size}\n  nfiles: {len(names)}\n"
            "  path: d\n",
            "dvc.yaml": PIPELINE,
            "dvc.lock": "schema: '2.0'\nstages:\n  sort:\n    cmd: sort a.txt > clean.csv\n"
            f"    deps:\n    - path: a.txt\n      md5: {oids['a.txt']}\n"
            f"      size: {sizes['a.txt']}\n"
            f"    outs:\n    - path: clean.csv\n      md5: {oids['clean.csv']}\n"
            f"      size: {sizes['clean.csv']}\n",
            ".gitignore": "/a.txt\n/d\n/clean.csv\n",
        },
    )
    if remote is not None:
        (folder / ".dvc" / "config").write_text(
            f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n"
        )
    make.commit(folder)
    return folder


def clone(source: Path, folder: Path) -> Path:
    """Clone a project: its records, and none of its data."""
    make.git(source.parent, "clone", "-q", str(source), str(folder))
    return folder


def objects(folder: Path) -> set[str]:
    """Return the paths of all objects below a cache or remote."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {path for path in found if not path.startswith(("runs/", "tmp."))}
