"""How much work there is for each file: files opened, and how often the disk is waited for."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.objects import scan, transfer
from assay.objects.cache import Cache
from assay.objects.checkout import Target, checkout
from assay.objects.index import Index
from assay.objects.remotes import RemoteSettings, open_remote
from tests import make

N_FILES = 390  # as many as one process does, which is the one that is watched
N_SHARDS = 256 + 20  # folders of a store, and some files that are not data
_watched: list[Counter[str]] = []


def _hook(event: str, _arguments: object) -> None:
    for seen in _watched:
        seen[event] += 1


sys.addaudithook(_hook)  # Python takes no hook away again


class Place:
    """A folder with many files, a cache, a remote and a second cache."""

    def __init__(self, folder: Path) -> None:
        self.data = make.write(
            folder / "ws" / "data", {f"{n % 3}/{n}": f"{n}" for n in range(N_FILES)}
        )
        self.folder, self.cache, self.there = folder, Cache(folder / "c"), Cache(folder / "there")
        self.index = Index(folder / "index.db")
        self.remote = open_remote(RemoteSettings(name="st", url=str(folder / "remote")))
        self.oid = ""
        time.sleep(0.03)  # a file of this very tick of the clock would be read again

    def add(self) -> None:
        self.oid = scan.store(self.data, self.cache, self.index).oid

    def push(self) -> None:
        transfer.push([self.oid], self.cache, self.remote)

    def pull(self) -> None:
        transfer.pull([self.oid], self.there, self.remote)

    def checkout(self) -> None:
        target = Target(path=self.folder / "ws" / "other", oid=self.oid)
        checkout([target], self.cache, self.index, work=self.folder / "work", types=["copy"])

    def status(self) -> None:
        assert scan.scan(self.folder / "ws" / "other", self.index).oid == self.oid


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def counted(work: Callable[[], None]) -> Counter[str]:
    """Return how often Python opened or renamed a file, and whatever else it tells of."""
    seen: Counter[str] = Counter()
    _watched.append(seen)
    try:
        work()
    finally:
        _watched.remove(seen)
    return seen


def test_each_file_is_read_once_and_written_once(place: Place):
    """Folders that are new are moved as a whole, so that files are not renamed one by one."""
    for work in (place.add, place.push, place.pull, place.checkout):
        found = counted(work)
        assert 2 * N_FILES <= found["open"] <= 2 * N_FILES + N_SHARDS, work.__name__
        assert found["os.rename"] <= N_SHARDS, work.__name__
    assert counted(place.status)["open"] <= 20


def test_doing_it_again_opens_none_of_the_files(place: Place):
    for work in (place.add, place.push, place.pull, place.checkout):
        work()
        found = counted(work)
        assert found["open"] <= 20, work.__name__
        assert found["os.rename"] == 0, work.__name__


def test_the_disk_is_waited_for_once_for_all_files(place: Place, monkeypatch: pytest.MonkeyPatch):
    from assay.objects import staging

    waited: list[Path] = []
    monkeypatch.setattr(staging, "sync_filesystem", waited.append)
    for work in (place.add, place.push, place.pull):
        waited.clear()
        work()
        assert len(waited) == 2, work.__name__  # for the files, then for the list of them
