"""How long a large file takes, and a look at many files."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import Aim, Case, Command, Question, Sizes, Wrong, programs
from benchmarks.data import UP_TO_DATE, make, memory_aim
from benchmarks.programs import ASSAY, Side, saying

_BLOCK = 1 << 20


def cases(folder: Path, sizes: Sizes) -> Iterator[Case]:
    """`add` of one large file, and `status` of folders with very many small ones."""
    yield _one(folder / "one", sizes.large_size)
    shutil.rmtree(folder / "one")
    for n_files in sizes.n_many:
        yield _many(folder / str(n_files), n_files)
        shutil.rmtree(folder / str(n_files))


def _one(folder: Path, size: int) -> Case:
    sides = programs.sides(folder)
    for side in sides:
        side.repository()
    first = sides[0].project / "data.bin"
    oid = _make_file(first, size)
    shutil.copy(first, sides[1].project)
    ours, peer = (_add(side, oid, size) for side in sides)
    floors = {
        "md5 of the bytes": programs.python(_HASH, str(first), folder=folder, prints=f"{oid}\n"),
        "cp; sync": programs.floor(
            *("sh", "-ec", 'cp "$1" "$2"; sync -f "$2"', "sh", str(first), str(folder / "copy")),
            folder=folder,
            prepare=lambda: (folder / "copy").unlink(missing_ok=True),
        ),
    }
    return Case(
        name=f"add, one file of {size / 1e9:g} GB", ours=ours, peer=peer, floors=floors,
        aim=(Aim("floor", 1.1), memory_aim(1)),
    )  # fmt: skip


_HASH = """
import hashlib, sys
digest = hashlib.md5()
with open(sys.argv[1], "rb", buffering=0) as file:
    while block := file.read(1 << 20):
        digest.update(block)
print(digest.hexdigest())
"""


def _make_file(path: Path, size: int) -> str:
    noise, digest = random.Random(7), hashlib.md5()
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            block = noise.randbytes(min(_BLOCK, size - start))
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def _add(side: Side, oid: str, size: int) -> Command:
    cache = side.project / ".dvc" / "cache" / "files" / "md5"

    def prepare() -> None:
        shutil.rmtree(cache, ignore_errors=True)  # one file: the disk does not feel it
        shutil.rmtree(side.folder / "site", ignore_errors=True)
        made = (
            "data.bin.dvc",
            ".gitignore",
            *(f".assay/index.db{s}" for s in ("", "-wal", "-shm")),
        )
        for name in made:
            (side.project / name).unlink(missing_ok=True)

    def check(_printed: str) -> None:
        record = f"outs:\n- md5: {oid}\n  size: {size}\n  hash: md5\n  path: data.bin\n"
        if (side.project / "data.bin.dvc").read_text() != record:
            raise Wrong("the record is not the one of this file", where="data.bin.dvc")
        stored = cache / oid[:2] / oid[2:]
        with stored.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != oid:
                raise Wrong("the object has another hash", where=stored.name)

    return side.command("add", "data.bin", check=check, prepare=prepare)


def _many(folder: Path, n_files: int) -> Case:
    """Add them once, by us; the peer finds the same project with the same cache."""
    ours, peer = programs.sides(folder)
    ours.repository()
    make(ours.project / "data", sizes=Sizes(n_files=n_files, file_size=100))
    ours.run(str(ASSAY), "add", "data")
    ours.commit()
    shutil.copytree(ours.project, peer.project, symlinks=True, copy_function=_linked)
    commands = [side.command("status", check=saying(UP_TO_DATE)) for side in (ours, peer)]
    walk = programs.python(
        programs.WALK, str(ours.project / "data"), folder=folder, prints=f"{n_files}\n"
    )
    return Case(
        name=f"status, {n_files:,} files", ours=commands[0], peer=commands[1],
        floors={"stat of the files": walk}, aim=(Aim("peer", 6), memory_aim(n_files)),
    )  # fmt: skip


def _linked(source: str, target: str) -> None:
    if "/.dvc/cache/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


QUESTION = Question(
    name="large",
    title="Large data",
    about="The bytes of one large file, and a look at very many small ones.",
    rounds=3,
    cases=cases,
)

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main([QUESTION]))
