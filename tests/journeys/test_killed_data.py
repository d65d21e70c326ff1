"""`kill -9` at any moment of an add, push or pull: nothing is half, the same command completes it.

A killed process leaves its staging folder (`tmp.…` beside the objects); the next one that writes
there takes it away.
"""

from __future__ import annotations

import functools
import itertools
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay.objects import tree
from assay.objects.cache import Cache
from tests import make
from tests.kill import kill_repeatedly

N_FILES = 1500
SEED = 20240
WRITING = re.compile(r"\.[\w-]{22}\.tmp")  # the temporary name of a file that is being replaced


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, where there is enough: a kill loses no page, only time is saved."""
    memory = make.memory()
    if memory is None or shutil.disk_usage(memory).free < 500_000_000:
        yield tmp_path_factory.mktemp("killed")
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def template(place: Path) -> Path:
    """A project with data that is not added yet: many files, and a big one."""
    draw = random.Random(SEED)
    project = make.project(place / "template" / "project")
    files = {f"data/{n % 20}/{n}": draw.randbytes(10_000) for n in range(N_FILES)}
    make.write(project, files | {"data/big": draw.randbytes(40_000_000)})
    make.done(project, "remote", "add", "-d", "st", "../store")
    return project


@pytest.fixture(scope="module")
def added(template: Path, place: Path) -> Path:
    """The same, added by an uninterrupted run."""
    folder = copy(template, place / "added")
    make.done(folder, "add", "data")
    return folder


def copy(project: Path, where: Path) -> Path:
    """Copy a project; data and objects, which nobody changes, by hard link."""

    def link_or_copy(source: str, target: str) -> None:
        if "/data/" in source or "/cache/" in source:
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    where.mkdir(parents=True)
    return Path(shutil.copytree(project, where / "project", copy_function=link_or_copy))


@pytest.fixture
def fresh(place: Path) -> Iterator[Callable[[Path], Path]]:
    """Makes copies of a project, one at a time: each takes the one before away."""
    numbers = itertools.count()

    def make_one(project: Path) -> Path:
        shutil.rmtree(place / "fresh", ignore_errors=True)
        return copy(project, place / "fresh" / str(next(numbers)))

    yield make_one
    shutil.rmtree(place / "fresh")


def staged(store: Path) -> list[Path]:
    return list(store.glob("tmp.*"))


def whole(store: Path) -> set[str]:
    """Return the objects of a store, each checked by its hash."""
    cache = Cache(store)
    oids = set(cache)
    assert all(cache.verify(oid) for oid in oids)
    return oids


def leftovers(folder: Path) -> list[str]:
    """Return what is no object, record or data: half-made files and staging folders."""
    found = (p for p in folder.rglob("*") if ".git" not in p.parts and "data" not in p.parts)
    return sorted(
        p.relative_to(folder).as_posix()
        for p in found
        if p.name.startswith("tmp.") or (p.suffix == ".tmp" and not WRITING.fullmatch(p.name))
    )


def metafiles(project: Path) -> dict[str, bytes]:
    names = ("data.dvc", ".gitignore", ".dvc/config", ".dvcignore", ".dvc/.gitignore")
    return {name: (project / name).read_bytes() for name in names if (project / name).exists()}


def objects(project: Path) -> Path:
    return project / ".dvc" / "cache" / "files" / "md5"


def check_add(project: Path, *, reference: Path) -> None:
    """Nothing is half; the same command gives what an uninterrupted run gives; all is swept."""
    store = objects(project)
    assert whole(store) <= whole(objects(reference))
    assert metafiles(project).items() <= metafiles(reference).items()
    make.done(project, "add", "data")
    assert metafiles(project) == metafiles(reference)
    assert whole(store) == whole(objects(reference))
    if staged(store):  # it was killed when all was stored: nothing was left to write
        make.write(project, {"other": "x"})
        make.done(project, "add", "other")
    assert leftovers(project) == []
    assert make.done(project, "checkout") == ""


def check_push(project: Path, *, reference: set[str]) -> None:
    """A manifest that is there has all its files; the same command completes the remote."""
    remote = project.parent / "store"
    store = remote / "files" / "md5"
    there, cache = whole(store), Cache(store)
    for oid in there:
        if oid.endswith(".dir"):
            assert {entry.oid for entry in tree.read(cache, oid)} <= there
    before = metafiles(project)
    lacking = len(reference - there)
    pushed = make.done(project, "push")
    assert pushed.startswith(f"{lacking:,} file" if lacking else "Everything")
    assert whole(store) == reference
    assert leftovers(project.parent) == []
    assert make.done(project, "push") == "Everything is up to date.\n"
    assert metafiles(project) == before


def adding(project: Path) -> bool:
    """Say whether an add has begun to write, and has not written its record yet."""
    recorded = (project / "data.dvc").exists() and (project / ".gitignore").exists()
    begun = next(objects(project).iterdir(), None) if objects(project).is_dir() else None
    return begun is not None and not recorded


def pushing(project: Path) -> bool:
    """Say whether a push has begun to write, and the manifest is not there yet."""
    remote = project.parent / "store"
    return remote.exists() and not list((remote / "files" / "md5").glob("*/*.dir"))


def kill_add(template: Path, added: Path, fresh: Callable[[Path], Path], count: int) -> None:
    kill_repeatedly(
        make.command("add", "data"),
        fresh=functools.partial(fresh, template),
        inside=adding,
        check=functools.partial(check_add, reference=added),
        count=count,
        seed=SEED,
    )


def kill_push(added: Path, fresh: Callable[[Path], Path], count: int) -> None:
    kill_repeatedly(
        make.command("push"),
        fresh=functools.partial(fresh, added),
        inside=pushing,
        check=functools.partial(check_push, reference=whole(objects(added))),
        count=count,
        seed=SEED,
    )


@pytest.fixture(scope="module")
def emptied(added: Path, place: Path) -> Path:
    """The same with all of it on a remote, and neither data nor cache here."""
    folder = copy(added, place / "emptied")
    make.done(folder, "remote", "modify", "st", "url", str(place / "full"))
    make.done(folder, "push")
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / ".dvc" / "cache")
    return folder


def contents(project: Path) -> dict[str, bytes]:
    files = (path for path in (project / "data").rglob("*") if path.is_file())
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files}


def check_pull(project: Path, *, reference: Path) -> None:
    """What arrived is whole and stays; the same command brings the rest."""
    arrived = whole(objects(project))
    assert arrived <= whole(objects(reference))
    assert contents(project).items() <= contents(reference).items()
    make.done(project, "pull")
    assert contents(project) == contents(reference)
    assert whole(objects(project)) == whole(objects(reference))
    assert leftovers(project) == []
    assert metafiles(project).keys() == metafiles(reference).keys()
    assert make.done(project, "pull") == "Everything is up to date.\n"


def pulling(project: Path) -> bool:
    """Say whether a pull has begun to write, and not put everything in place yet."""
    begun = objects(project).is_dir() and any(objects(project).iterdir())
    return begun and not (project / "data" / "big").exists()


def kill_pull(added: Path, emptied: Path, fresh: Callable[[Path], Path], count: int) -> None:
    kill_repeatedly(
        make.command("pull"),
        fresh=functools.partial(fresh, emptied),
        inside=pulling,
        check=functools.partial(check_pull, reference=added),
        count=count,
        seed=SEED,
    )


def test_a_killed_add_leaves_nothing_half_and_is_completed(template, added, fresh):
    kill_add(template, added, fresh, 2)


def test_a_killed_push_leaves_nothing_half_and_is_completed(added, fresh):
    kill_push(added, fresh, 2)


@pytest.mark.slow
def test_an_add_killed_fifty_times_leaves_nothing_half(template, added, fresh):
    kill_add(template, added, fresh, 50)


@pytest.mark.slow
def test_a_push_killed_fifty_times_leaves_nothing_half(added, fresh):
    kill_push(added, fresh, 50)


@pytest.mark.slow
def test_a_pull_killed_fifty_times_leaves_nothing_half(added, emptied, fresh):
    kill_pull(added, emptied, fresh, 50)
