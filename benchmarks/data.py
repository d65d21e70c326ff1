"""How long the data commands take on a folder of many small files."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import Aim, Case, Command, Question, Sizes, Wrong, programs
from benchmarks.programs import Side, put_away, saying

UP_TO_DATE = "Data and pipelines are up to date."
CONFIG = """\
[core]
    remote = store
['remote "store"']
    url = {url}
"""
Hashes = dict[str, str]


def cases(folder: Path, sizes: Sizes) -> Iterator[Case]:
    """Go through a day: add, status, checkout, push, push again, gc, and pull in a clone."""
    sides = programs.sides(folder)
    wanted = make(folder / "source" / "data", sizes=sizes)
    for side in sides:
        side.repository()
        (side.project / ".dvc" / "config").write_text(CONFIG.format(url=side.folder / "remote"))
        make(side.project / "data", sizes=sizes)
    memory = memory_aim(sizes.n_files)
    for job, aims in AIMS.items():
        name, (ours, peer) = job.__name__[1:].replace("_", " "), (job(s, wanted) for s in sides)
        floors = _floors(name, folder, len(wanted))
        yield Case(name=name, ours=ours, peer=peer, floors=floors, aim=(*aims, memory))
        if job is _add:
            for side in sides:
                side.commit()


def make(folder: Path, *, sizes: Sizes) -> Hashes:
    """Write files of noise, a hundred a folder, and return their hashes by relative path."""
    noise = random.Random(7)
    hashes = {}
    for i in range(sizes.n_files):
        path = folder / f"{i // 100:03d}" / f"{i:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = noise.randbytes(sizes.file_size)
        path.write_bytes(content)
        hashes[path.relative_to(folder).as_posix()] = hashlib.md5(content).hexdigest()
    return hashes


def hashes_in(folder: Path) -> Hashes:
    """Hash all files in a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def manifest(wanted: Hashes) -> bytes:
    """Return the manifest that DVC's format asks for, made here and by neither of the two."""
    entries = [{"md5": wanted[name], "relpath": name} for name in sorted(wanted)]
    return json.dumps(entries, sort_keys=True).encode()


def record(wanted: Hashes, *, size: int) -> str:
    """Return the `.dvc` file that must come out."""
    oid = hashlib.md5(manifest(wanted)).hexdigest()
    return (
        f"outs:\n- md5: {oid}.dir\n  size: {size}\n  nfiles: {len(wanted)}\n"
        "  hash: md5\n  path: data\n"
    )


def _holds(folder: Path, wanted: Hashes) -> None:
    if hashes_in(folder) != wanted:
        raise Wrong("the files are not those that were added", where=folder.name)


def _stores(folder: Path, wanted: Hashes) -> None:
    """Check a cache or remote: every object is under its hash, none is missing or too many."""
    oids = {*wanted.values(), hashlib.md5(manifest(wanted)).hexdigest()}
    found = hashes_in(folder)
    names = {name.replace("/", "").removesuffix(".dir"): oid for name, oid in found.items()}
    if set(names) != oids or any(name != oid for name, oid in names.items()):
        raise Wrong(f"it has {len(names)} objects, not the {len(oids)} wanted", where=folder.name)


def _add(side: Side, wanted: Hashes) -> Command:
    def prepare() -> None:
        made = (".dvc/cache", ".dvc/tmp", "data.dvc", ".gitignore", *_index(side))
        _put_away(side, *(side.project / name for name in made), side.folder / "site")

    def check(_printed: str) -> None:
        size = sum(p.stat().st_size for p in (side.project / "data").rglob("*.bin"))
        if (side.project / "data.dvc").read_text() != record(wanted, size=size):
            raise Wrong("the record is not the one of these files", where="data.dvc")
        _stores(side.project / ".dvc" / "cache" / "files" / "md5", wanted)

    return side.command("add", "data", check=check, prepare=prepare)


def _put_away(side: Side, *paths: Path) -> None:
    put_away(*paths, trash=side.folder / "trash")


def _index(side: Side) -> list[str]:
    """Return the files in which we keep what was hashed; DVC's are in its site folder."""
    return [f".assay/{path.name}" for path in (side.project / ".assay").glob("index.db*")]


def _status(side: Side, _wanted: Hashes) -> Command:
    return side.command("status", check=saying(UP_TO_DATE))


def _checkout(side: Side, wanted: Hashes) -> Command:
    data = side.project / "data"
    return side.command(
        "checkout", check=lambda _: _holds(data, wanted), prepare=lambda: _put_away(side, data)
    )


def _push(side: Side, wanted: Hashes) -> Command:
    remote = side.folder / "remote"
    return side.command(
        "push",
        check=lambda _: _stores(remote / "files" / "md5", wanted),
        prepare=lambda: _put_away(side, remote, *(side.folder / "site").glob("**/index")),
    )


def _push_again(side: Side, _wanted: Hashes) -> Command:
    return side.command("push", check=saying("Everything is up to date."))


def _gc(side: Side, wanted: Hashes) -> Command:
    cache = side.project / ".dvc" / "cache" / "files" / "md5"
    return side.command("gc", "-w", "-f", check=lambda _: _stores(cache, wanted))


def _pull(side: Side, wanted: Hashes) -> Command:
    clone = side.folder / "clone"

    def prepare() -> None:
        _put_away(side, clone, side.folder / "site")
        side.run("git", "clone", "-q", str(side.project), str(clone))

    return side.command(
        "pull", check=lambda _: _holds(clone / "data", wanted), prepare=prepare, folder=clone
    )


AIMS = {
    _add: (Aim("floors", 1.5), Aim("peer", 4)),
    _status: (Aim("peer", 6),),
    _checkout: (Aim("peer", 3),),
    _push: (Aim("peer", 4),),
    _push_again: (Aim("peer", 6),),
    _gc: (),
    _pull: (Aim("peer", 6),),
}


def memory_aim(n_files: int) -> Aim:
    """Return how much memory a command may take for so many files."""
    return Aim("memory", 60e6 + 1e3 * n_files)


_COPYING = {
    "add": ("cp -r", 'cp -r "$1" "$2"'),  # what the aim names; we wait for the disk, too
    "push": ("cp -r; sync", 'cp -r "$1" "$2"; sync -f "$2"'),
    "checkout": ("cp -r", 'cp -r "$1" "$2"'),
    "pull": ("cp -r; sync; cp -r", 'cp -r "$1" "$2"; sync -f "$2"; cp -r "$2" "$2"2'),
}


def _floors(name: str, folder: Path, n_files: int) -> dict[str, Command]:
    """Return what the job can't be done without."""
    data = folder / "source" / "data"
    prints = f"{n_files}\n"
    if name not in _COPYING:
        walk = programs.python(programs.WALK, str(data), folder=folder, prints=prints)
        return {"stat of the files": walk}
    label, line = _COPYING[name]
    return {
        "md5 of the bytes": programs.python(
            programs.HASH, str(data), folder=folder, prints=prints
        ),
        label: _copy(line, data, folder, n_files),
    }


def _copy(line: str, data: Path, folder: Path, n_files: int) -> Command:
    copies = (folder / "copy", folder / "copy2")

    def check(_printed: str) -> None:
        for copy in copies[: line.count("cp -r")]:
            if sum(path.is_file() for path in copy.rglob("*")) != n_files:
                raise Wrong("not all files were copied", where=copy.name)

    return programs.floor(
        *("sh", "-ec", line, "sh", str(data), str(copies[0])),
        folder=folder,
        prepare=lambda: put_away(*copies, trash=folder / "trash"),
        check=check,
    )


QUESTION = Question(
    name="data",
    title="Data",
    about="A folder of many small files: the files, not the bytes, are what costs.",
    rounds=5,
    cases=cases,
)

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main([QUESTION]))
