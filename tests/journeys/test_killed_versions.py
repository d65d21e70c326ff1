"""`kill -9` at any moment of a gc, checkout or commit: nothing needed is lost, all is completed.

What lies around after a kill (staging folders, half of a checkout) is the business of the same
command given again; a file of a person is never the price.
"""

from __future__ import annotations

import functools
import itertools
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import make
from tests.journeys.test_killed_data import copy, leftovers, metafiles, objects, whole
from tests.kill import kill_repeatedly

N_FILES = 1500
N_OLD = 8000
EDITED = 2
"""The version that is not committed; a big file lets its commit last."""
SEED = 20241

Fresh = Callable[[Path], Path]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, where there is enough: a kill loses no page, only time is saved."""
    memory = make.memory()
    if memory is None or shutil.disk_usage(memory).free < 500_000_000:
        yield tmp_path_factory.mktemp("killed")
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def version(number: int) -> dict[str, bytes]:
    """Return files of which each version has some of its own, some changed and some as before."""
    draw = random.Random(SEED + number)
    own = {f"data/{n % 20}/{number}-{n}": draw.randbytes(4000) for n in range(N_FILES // 2)}
    changed = {f"data/{n % 20}/changed-{n}": draw.randbytes(4000) for n in range(N_FILES // 2)}
    big = {"data/big": draw.randbytes(40_000_000)} if number == EDITED else {}
    return own | changed | big | {"data/same": b"same"}


@pytest.fixture(scope="module")
def two(place: Path) -> Path:
    """A project with two committed versions of many files; the second one is checked out."""
    project = make.project(place / "two" / "project")
    for number in range(2):
        shutil.rmtree(project / "data", ignore_errors=True)
        make.write(project, version(number))
        make.done(project, "add", "data")
        make.commit(project, f"version {number}")
    return project


@pytest.fixture(scope="module")
def crowded(two: Path, place: Path) -> Path:
    """The same with many objects that nobody names."""
    project = copy(two, place / "crowded")
    make.write(project, {f"old/{n}": f"old {n}" for n in range(N_OLD)})
    make.done(project, "add", "old")
    shutil.rmtree(project / "old")
    (project / "old.dvc").unlink()
    return project


@pytest.fixture
def fresh(place: Path) -> Iterator[Fresh]:
    """Makes copies of a project, one at a time: each takes the one before away."""
    numbers = itertools.count()

    def make_one(project: Path) -> Path:
        shutil.rmtree(place / "fresh", ignore_errors=True)
        return copy(project, place / "fresh" / str(next(numbers)))

    yield make_one
    shutil.rmtree(place / "fresh", ignore_errors=True)


def data(project: Path) -> dict[str, bytes]:
    files = (path for path in (project / "data").rglob("*") if path.is_file())
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files}


def check_sweeping(project: Path) -> None:
    """Staging folders of killed processes are swept by a later one."""
    make.write(project, {"other": "x"})
    make.done(project, "add", "--no-profile", "other")
    (project / "other").unlink()
    make.done(project, "checkout", "other")
    assert leftovers(project) == []


def check_gc(project: Path, *, needed: set[str]) -> None:
    """What is named is there and whole; the same command deletes the rest."""
    assert needed <= whole(objects(project))
    make.done(project, "gc", "-A", "-f")
    assert whole(objects(project)) == needed
    assert make.done(project, "status") == "Data and pipelines are up to date.\n"
    check_sweeping(project)


def kill_gc(crowded: Path, fresh: Fresh, count: int) -> None:
    collected = fresh(crowded)
    before = whole(objects(crowded))
    make.done(collected, "gc", "-A", "-f")
    needed = whole(objects(collected))
    unused = sorted(before - needed)
    assert len(unused) == N_OLD + 1
    manifest = next(oid for oid in unused if oid.endswith(".dir"))

    def deleting(project: Path) -> bool:
        """Say whether a collection has deleted the list of the folder, which it does first."""
        first, last = (objects(project) / o[:2] / o[2:] for o in (manifest, unused[-1]))
        return last.exists() and not first.exists()

    kill_repeatedly(
        make.command("gc", "-A", "-f"),
        fresh=functools.partial(fresh, crowded),
        inside=deleting,
        check=functools.partial(check_gc, needed=needed),
        count=count,
        seed=SEED,
    )


def check_checkout(project: Path, *, stored: set[str]) -> None:
    """No file is half; the same command brings all of the version."""
    first, second = version(0), version(1)
    for name, content in data(project).items():
        assert content in {first.get(name), second.get(name)}, name
    assert whole(objects(project)) == stored
    make.done(project, "checkout")
    assert data(project) == first
    assert (project / "mine").read_text() == "not tracked"
    check_sweeping(project)


def checking_out(project: Path) -> bool:
    """Say whether a checkout has begun to prepare, and not put everything in place yet."""
    begun = any((project / ".assay" / "work").glob("tmp.*"))
    last = project / "data" / str((N_FILES // 2 - 1) % 20) / f"0-{N_FILES // 2 - 1}"
    return begun and not last.exists()


def kill_checkout(two: Path, place: Path, fresh: Fresh, count: int) -> None:
    turned = copy(two, place / f"turned-{count}")
    make.git(turned, "checkout", "-q", "HEAD~1")
    make.write(turned, {"mine": "not tracked"})
    kill_repeatedly(
        make.command("checkout"),
        fresh=functools.partial(fresh, turned),
        inside=checking_out,
        check=functools.partial(check_checkout, stored=whole(objects(turned))),
        count=count,
        seed=SEED,
    )


def check_commit(project: Path, *, reference: Path) -> None:
    """The data is untouched, the record old or new; the same command completes it."""
    assert data(project) == version(EDITED)
    assert metafiles(project)["data.dvc"] in {
        (reference / "data.dvc").read_bytes(),
        make.git(project, "show", "HEAD:data.dvc").encode(),
    }
    assert whole(objects(project)) <= whole(objects(reference))
    make.done(project, "commit")
    assert data(project) == version(EDITED)
    assert metafiles(project) == metafiles(reference)
    assert whole(objects(project)) == whole(objects(reference))
    check_sweeping(project)


def committing(project: Path, *, before: bytes) -> bool:
    """Say whether a commit has begun to store, and has not written its record yet."""
    begun = any(objects(project).glob("tmp.*"))
    return begun and (project / "data.dvc").read_bytes() == before


def kill_commit(two: Path, place: Path, fresh: Fresh, count: int) -> None:
    edited = copy(two, place / f"edited-{count}")
    shutil.rmtree(edited / "data")
    make.write(edited, version(EDITED))
    reference = copy(edited, place / f"committed-{count}")
    make.done(reference, "commit")
    kill_repeatedly(
        make.command("commit"),
        fresh=functools.partial(fresh, edited),
        inside=functools.partial(committing, before=(edited / "data.dvc").read_bytes()),
        check=functools.partial(check_commit, reference=reference),
        count=count,
        seed=SEED,
    )


def test_a_killed_gc_loses_nothing_that_is_named_and_is_completed(crowded, fresh):
    kill_gc(crowded, fresh, 2)


def test_a_killed_checkout_leaves_no_file_half_and_is_completed(two, place, fresh):
    kill_checkout(two, place, fresh, 2)


def test_a_killed_commit_touches_no_data_and_is_completed(two, place, fresh):
    kill_commit(two, place, fresh, 2)


@pytest.mark.slow
def test_a_gc_killed_fifty_times_loses_nothing_that_is_named(crowded, fresh):
    kill_gc(crowded, fresh, 50)


@pytest.mark.slow
def test_a_checkout_killed_fifty_times_leaves_no_file_half(two, place, fresh):
    kill_checkout(two, place, fresh, 50)


@pytest.mark.slow
def test_a_commit_killed_fifty_times_touches_no_data(two, place, fresh):
    kill_commit(two, place, fresh, 50)
