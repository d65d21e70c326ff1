"""Objects that arrive in parts: in any order, again, later, and never half."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.objects import parts
from assay.objects.cache import Cache
from assay.objects.hashing import hash_bytes
from assay.objects.parts import Upload
from assay.objects.receiving import arriving


def send(cache: Cache, upload: Upload, number: int, content: bytes) -> str:
    with arriving(cache) as one:
        one.write(content)
        return parts.keep(cache, upload, number, one)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "store", algorithm="sha256")


@given(contents=st.lists(st.binary(max_size=20), min_size=1, max_size=6), data=st.data())
def test_parts_in_any_order_make_one_object(
    tmp_path_factory: pytest.TempPathFactory, contents: Sequence[bytes], data: st.DataObject
) -> None:
    cache = Cache(tmp_path_factory.mktemp("store"), algorithm="sha256")
    upload = parts.begin(cache, "a/b", n_parts=len(contents))
    order = data.draw(st.permutations(range(len(contents))))
    hashes = {number + 1: send(cache, upload, number + 1, contents[number]) for number in order}
    stored = parts.complete(cache, upload, hashes)
    assert cache.read(stored.oid) == b"".join(contents)
    assert list(cache) == [stored.oid]


def test_a_part_again_replaces_the_first(cache: Cache) -> None:
    upload = parts.begin(cache, "a", n_parts=2)
    send(cache, upload, 1, b"wrong")
    send(cache, upload, 1, b"a")
    send(cache, upload, 2, b"b")
    assert [(one.number, one.size) for one in parts.list_(cache, upload)] == [(1, 1), (2, 1)]
    assert cache.read(parts.complete(cache, upload, {}).oid) == b"ab"


def test_completing_again_gives_the_same(cache: Cache) -> None:
    upload = parts.begin(cache, "a", n_parts=1)
    send(cache, upload, 1, b"a")
    first = parts.complete(cache, upload, {})
    assert parts.complete(cache, parts.find(cache, upload.id), {}) == first


class Meanwhile(Mapping[int, str]):
    """Hashes of parts that are looked at when another request has made the object."""

    def __init__(self, cache: Cache, upload: Upload) -> None:
        self.cache, self.upload = cache, upload

    def __getitem__(self, number: int) -> str:
        return ""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[int]:
        self.first = parts.complete(self.cache, self.upload, {})
        return iter([1])


def test_who_asks_again_while_it_is_completed_gets_the_same(cache: Cache) -> None:
    upload = parts.begin(cache, "a", n_parts=2)
    send(cache, upload, 1, b"a")
    send(cache, upload, 2, b"b")
    meanwhile = Meanwhile(cache, upload)
    assert parts.complete(cache, upload, meanwhile) == meanwhile.first
    assert cache.read(meanwhile.first.oid) == b"ab"


def test_a_missing_part_is_named_and_the_upload_goes_on(cache: Cache) -> None:
    upload = parts.begin(cache, "a", n_parts=3)
    send(cache, upload, 2, b"b")
    with pytest.raises(Error, match="2 of 3 parts are not there yet: 1, 3"):
        parts.complete(cache, upload, {})
    assert list(cache) == []
    send(cache, upload, 1, b"a")
    send(cache, upload, 3, b"c")
    assert cache.read(parts.complete(cache, upload, {}).oid) == b"abc"


def test_a_part_with_another_hash_is_refused(cache: Cache) -> None:
    upload = parts.begin(cache, "a", n_parts=1)
    send(cache, upload, 1, b"a")
    with pytest.raises(Error, match="part 1 has the SHA-256 ca978112"):
        parts.complete(cache, upload, {1: hash_bytes(b"b", algorithm="sha256")})
    assert list(cache) == []


@pytest.mark.parametrize("number", [0, 3])
def test_a_part_outside_of_the_upload_is_refused(cache: Cache, number: int) -> None:
    upload = parts.begin(cache, "a", n_parts=2)
    with pytest.raises(Error, match=f"there is no part {number}"):
        send(cache, upload, number, b"a")
    assert parts.list_(cache, upload) == []


@pytest.mark.parametrize("id_", ["", "0" * 32, "../../etc", "a/b", "\0", "%2e%2e"])
def test_an_unknown_upload_is_not_found(cache: Cache, id_: str) -> None:
    parts.begin(cache, "a", n_parts=1)
    with pytest.raises(NotFound, match="there is no upload"):
        parts.find(cache, id_)
    parts.abort(cache, id_)


@pytest.mark.parametrize("n_parts", [0, -1, parts.MOST + 1])
def test_too_few_or_too_many_parts_are_refused(cache: Cache, n_parts: int) -> None:
    with pytest.raises(Error, match="1 to 10000 parts"):
        parts.begin(cache, "a", n_parts=n_parts)


def test_an_upload_that_is_given_up_leaves_nothing(cache: Cache) -> None:
    upload = parts.begin(cache, "a", n_parts=2)
    send(cache, upload, 1, b"a")
    parts.abort(cache, upload.id)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


def test_an_abandoned_upload_is_swept_by_the_next_one_a_fresh_one_is_not(cache: Cache) -> None:
    old, fresh = (parts.begin(cache, "a", n_parts=1) for _ in range(2))
    send(cache, old, 1, b"a")
    folder = cache.folder / f"upload.{old.id}"
    moment = folder.stat().st_mtime - 8 * 24 * 3600
    os.utime(folder, (moment, moment))
    parts.begin(cache, "b", n_parts=1)
    with pytest.raises(NotFound):
        parts.find(cache, old.id)
    assert parts.find(cache, fresh.id) == fresh
