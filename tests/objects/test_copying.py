"""Files are copied whole and only with the wanted hash, one by one or many at once."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import stat
from pathlib import Path

import pytest

from assay.objects import copying, hashing
from assay.objects.copying import Job, copy, copy_all, store_all
from assay.objects.index import looks
from tests import make

SIZES = [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, hashing.CHUNK, hashing.CHUNK + 1, 9 << 20]
"""Around all the bounds at which a file is read in another way."""


def oid_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def write(folder: Path, contents: list[bytes]) -> list[Path]:
    paths = [folder / "from" / str(number) for number in range(len(contents))]
    (folder / "from").mkdir()
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def store(paths: list[Path], to: Path, **options) -> list[tuple[str, int]]:
    return store_all(
        [str(path) for path in paths],
        place=lambda oid: f"{to}/{oid}",
        has=options.pop("has", lambda _: False),
        spare=f"{to}/spare-",
        algorithm="md5",
        mode=0o444,
        **options,
    )


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_is_copied_by_each_way(tmp_path: Path, size: int):
    content = random.Random(size).randbytes(size)
    (source,) = write(tmp_path, [content])
    oid = oid_of(content)
    told: list[int] = []
    assert copy(
        str(source), str(tmp_path / "one"), algorithm="md5", mode=0o444, advance=told.append
    ) == (oid, size)
    assert sum(told) == size
    jobs = [Job(str(source), f"{tmp_path}/s/all", oid)]
    (found,) = copy_all(1, jobs.__getitem__, algorithm="md5", mode=0o644)
    assert found == looks((tmp_path / "s" / "all").stat())
    told.clear()
    assert store([source], tmp_path / "store", advance=told.append) == [(oid, size)]
    assert sum(told) == size
    for path in ("one", "s/all", f"store/{oid}"):
        assert (tmp_path / path).read_bytes() == content
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o444
    assert [path.name for path in (tmp_path / "store").iterdir()] == [oid]


@pytest.mark.parametrize("size", SIZES)
def test_what_has_another_hash_is_not_copied(tmp_path: Path, size: int):
    (source,) = write(tmp_path, [b"x" * size])
    jobs = [Job(str(source), f"{tmp_path}/s/t", "0" * 32)]
    assert copy_all(1, jobs.__getitem__, algorithm="md5", mode=0o644) == [None]
    assert not (tmp_path / "s" / "t").exists()


def test_many_files_with_few_contents_are_stored_once_each(tmp_path: Path):
    contents = [b"%d" % (number % 7) for number in range(2000)]
    told: list[int] = []
    paths = write(tmp_path, contents)
    found = store(paths, tmp_path / "store", advance=told.append)
    assert [oid for oid, _ in found] == [oid_of(content) for content in contents]
    assert {path.name for path in (tmp_path / "store").iterdir()} == {oid for oid, _ in found}
    assert all(oid_of(path.read_bytes()) == path.name for path in (tmp_path / "store").iterdir())
    assert sum(told) == 2000


def test_what_is_there_is_read_and_not_written(tmp_path: Path):
    paths = write(tmp_path, [b"1", b"2" * (2 << 20)])
    found = store(paths, tmp_path / "store", has=lambda _: True)
    assert [size for _, size in found] == [1, 2 << 20]
    assert not [p for p in tmp_path.rglob("store/*") if p.is_file()]


def test_a_file_that_is_gone_is_named(tmp_path: Path):
    paths = write(tmp_path, [b"%d" % number for number in range(1000)])
    paths[700].unlink()
    with pytest.raises(FileNotFoundError) as caught:
        store(paths, tmp_path / "store")
    assert caught.value.filename == str(paths[700])


@pytest.mark.parametrize("size", [1 << 16, 2 << 20, 9 << 20])
def test_where_the_disk_is_full_nothing_half_is_left(tmp_path: Path, size: int):
    (source,) = write(tmp_path, [b"x" * size])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            store([source], tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list((tmp_path / "store").iterdir()) == []


def test_where_blocks_can_be_shared_a_large_file_is_cloned(tmp_path: Path, monkeypatch):
    """No file system here can do it, so a stand-in copies; what is hashed is the copy."""
    content = random.Random(1).randbytes(3 << 20)
    (source,) = write(tmp_path, [content])
    cloned: list[str] = []

    def clone(origin: int, target: int) -> None:
        cloned.append(str(Path(f"/proc/self/fd/{origin}").readlink()))
        os.sendfile(target, origin, 0, len(content))

    monkeypatch.setattr(copying, "clone", clone)
    assert store([source], tmp_path / "store") == [(oid_of(content), len(content))]
    assert cloned == [str(source)]
    assert (tmp_path / "store" / oid_of(content)).read_bytes() == content


def test_a_copy_between_file_systems(tmp_path: Path):
    memory = Path(make.memory() or tmp_path)
    if memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system")
    (source,) = write(tmp_path, [b"x" * (2 << 20)])
    target = memory / f"assay-test-{os.getpid()}"
    try:
        assert copy(str(source), str(target), algorithm="md5", mode=0o644)[1] == 2 << 20
        assert target.read_bytes() == source.read_bytes()
    finally:
        target.unlink(missing_ok=True)
