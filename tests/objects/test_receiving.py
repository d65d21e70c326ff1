"""Objects that arrive piece by piece: whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.objects.cache import Cache
from assay.objects.hashing import hash_bytes
from assay.objects.receiving import arriving


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@given(pieces=st.lists(st.binary(max_size=40)))
def test_pieces_make_the_object_of_their_bytes(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    cache = Cache(tmp_path_factory.mktemp("store"), algorithm="sha256")
    with arriving(cache) as one:
        for piece in pieces:
            one.write(piece)
        stored = one.finish()
    content = b"".join(pieces)
    assert stored.oid == hash_bytes(content, algorithm="sha256")
    assert stored.size == len(content)
    assert cache.read(stored.oid) == content
    assert list(cache) == [stored.oid]


def test_an_object_is_read_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path, algorithm="sha256")
    with arriving(cache) as one:
        one.write(b"a")
        stored = one.finish()
    assert cache.path(stored.oid).stat().st_mode & 0o222 == 0


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, algorithm="sha256")
    with arriving(cache) as one:
        one.write(b"a" * 100)
    with pytest.raises(ZeroDivisionError), arriving(cache) as one:
        one.write(bytes([1 // one.size]))
    assert names(tmp_path) == []


def test_the_same_bytes_again_are_one_object_that_gc_leaves_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path, algorithm="sha256")
    oid = cache.add(b"a")
    old = cache.path(oid).stat().st_mtime - 7200
    os.utime(cache.path(oid), (old, old))
    with arriving(cache) as one:
        one.write(b"a")
        assert one.finish().oid == oid
    assert list(cache) == [oid]
    assert cache.path(oid).stat().st_mtime > old + 3600


def test_an_object_that_was_cut_is_healed(tmp_path: Path) -> None:
    cache = Cache(tmp_path, algorithm="sha256")
    oid = cache.add(b"abc")
    cache.path(oid).chmod(0o644)
    cache.path(oid).write_bytes(b"a")
    with arriving(cache) as one:
        one.write(b"abc")
        one.finish()
    assert cache.read(oid) == b"abc"


def test_a_symlink_in_the_place_of_an_object_is_replaced_not_followed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "store", algorithm="sha256")
    outside = tmp_path / "outside"
    outside.write_bytes(b"abc")
    place = cache.path(hash_bytes(b"abc", algorithm="sha256"))
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    with arriving(cache) as one:
        one.write(b"abc")
        one.finish()
    assert not place.is_symlink()
    assert outside.read_bytes() == b"abc"


def test_several_threads_store_the_same_and_others_at_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path, algorithm="sha256")

    def store(number: int) -> None:
        with arriving(cache) as one:
            one.write(b"%d" % (number % 3))
            one.finish()

    threads = [threading.Thread(target=store, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(cache.read(oid) for oid in cache) == [b"0", b"1", b"2"]


def test_a_store_that_cannot_be_made_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "store", algorithm="sha256")
    with pytest.raises(Error, match="not a directory"), arriving(cache):
        pass
