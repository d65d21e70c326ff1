"""What DVC 2 stored has the names that it gave, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.objects import legacy, scan, transfer, tree
from assay.objects.cache import Cache
from assay.objects.hashing import hash_bytes, hash_file
from assay.objects.index import Index
from assay.objects.remotes import RemoteSettings, open_remote
from tests import dvc_2, make

MIB = 1 << 20


@pytest.mark.parametrize(
    ("content", "hashed"),
    [
        (b"", b""),
        (b"a\r\nb", b"a\nb"),
        (b"\0\r\n", b"\0\r\n"),
        (b"\xff" * 4 + b"a" * 6 + b"\r\n", b"\xff" * 4 + b"a" * 6 + b"\r\n"),
        (b"\xff" * 3 + b"a" * 7 + b"\r\n", b"\xff" * 3 + b"a" * 7 + b"\n"),
        (b"a" * (MIB - 1) + b"\r\n", b"a" * (MIB - 1) + b"\r\n"),
        (b"a" * MIB + b"\0\r\n", b"a" * MIB + b"\0\r\n"),
    ],
)
def test_the_old_hash_is_of_text_without_carriage_returns(tmp_path: Path, content, hashed):
    (tmp_path / "f").write_bytes(content)
    found, size = hash_file(tmp_path / "f", algorithm="md5-dos2unix")
    assert found == legacy.PREFIX + hash_bytes(hashed)
    assert size == len(content)


CONTENT = st.lists(
    st.tuples(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b"\0", b"\xff", b"text\r\n"]),
              st.sampled_from([1, 2, 300, 600, MIB - 7])),
    max_size=6,
).map(lambda parts: b"".join(part * (n // len(part) + 1) for part, n in parts))  # fmt: skip


@given(CONTENT, st.lists(st.integers(1, 3 * MIB), max_size=5))
def test_the_old_hash_does_not_depend_on_how_the_bytes_come(content: bytes, cuts: list[int]):
    digest = legacy.Digest()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(content)], strict=True):
        digest.update(content[start:end])
    assert digest.hexdigest() == legacy.PREFIX + dvc_2.md5(content)


@given(st.text(st.sampled_from("ab\n"), max_size=50))
def test_the_old_hash_does_not_tell_line_ends_apart(text: str):
    dos = text.replace("\n", "\r\n")
    unix, other = (hash_bytes(t.encode(), algorithm="md5-dos2unix") for t in (text, dos))
    assert unix == other


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache" / "files" / "md5", legacy=tmp_path / "cache")


def test_old_objects_lie_beside_the_others_and_are_listed_apart(store: Cache, tmp_path: Path):
    old = store.of(legacy.PREFIX)
    make.write(tmp_path, {"f": b"a\r\n"})
    oid = old.add_file(tmp_path / "f").oid
    new = store.add_file(tmp_path / "f").oid
    make.write(tmp_path / "cache", {"fs/local/x": "", "ab/README": "", "runs/ab/cd/e": ""})
    name = legacy.plain(oid)
    assert (tmp_path / "cache" / name[:2] / name[2:]).read_bytes() == b"a\r\n"
    assert store.read(oid) == b"a\r\n"
    assert store.verify(oid)
    assert list(old) == [oid]
    assert list(store) == [new]


def test_a_damaged_old_object_is_moved_aside_by_its_name(store: Cache):
    old = store.of(legacy.PREFIX)
    oid = old.add(b"a\r\n")
    store.path(oid).chmod(0o644)
    store.path(oid).write_bytes(b"b")
    error = store.damaged(oid)
    assert oid in error.what
    assert not store.has(oid)
    assert list(old) == []


def test_a_folder_has_its_old_name_and_the_old_names_of_its_files(store: Cache, tmp_path: Path):
    make.write(tmp_path, {"d/a": b"1\r\n", "d/s/b": b"\0\r\n"})
    (tmp_path / "none").mkdir()
    index = Index(tmp_path / "index.db").like(legacy.PREFIX)
    content = scan.store(tmp_path / "d", store.of(legacy.PREFIX), index)
    assert legacy.is_legacy(content.oid)
    entries = tree.read(store, content.oid)
    expected = {"a": dvc_2.md5(b"1\r\n"), "s/b": dvc_2.md5(b"\0\r\n")}
    assert {e.relpath: legacy.plain(e.oid) for e in entries} == expected
    assert b"dos2unix" not in store.read(content.oid)
    assert scan.scan(tmp_path / "none", index).oid == legacy.PREFIX + tree.EMPTY


def test_a_path_can_be_asked_for_both_hashes(tmp_path: Path):
    make.write(tmp_path, {"f": b"1\r\n"})
    index = Index(tmp_path / "index.db")
    old = index.like(legacy.PREFIX)
    assert index.like("0" * 32) is index
    assert old.like(legacy.PREFIX) is old
    first = (scan.scan(tmp_path / "f", index).oid, scan.scan(tmp_path / "f", old).oid)
    assert first == (hash_bytes(b"1\r\n"), legacy.PREFIX + hash_bytes(b"1\n"))
    index.close()


def test_old_objects_move_to_and_from_the_places_of_dvc_2(store: Cache, tmp_path: Path):
    make.write(tmp_path, {"d/a": b"1\r\n", "d/b": b"2"})
    index = Index(tmp_path / "index.db").like(legacy.PREFIX)
    oid = scan.store(tmp_path / "d", store.of(legacy.PREFIX), index).oid
    remote = open_remote(RemoteSettings(name="r", url=str(tmp_path / "remote")))
    assert transfer.push([oid], store, remote).moved == 3
    assert dvc_2.objects(tmp_path / "remote") == {
        legacy.key_of(o) for o in (oid, *(e.oid for e in tree.read(store, oid)))
    }
    other = Cache(tmp_path / "other" / "files" / "md5", legacy=tmp_path / "other")
    assert transfer.pull([oid], other, remote).moved == 3
    assert dvc_2.objects(tmp_path / "other") == dvc_2.objects(tmp_path / "remote")


def test_a_damaged_old_object_of_a_remote_does_not_arrive(store: Cache, tmp_path: Path):
    oid = legacy.PREFIX + dvc_2.md5(b"1\r\n")
    make.write(tmp_path / "remote", {legacy.key_of(oid): b"2\r\n"})
    remote = open_remote(RemoteSettings(name="r", url=str(tmp_path / "remote")))
    moved = transfer.pull([oid], store, remote)
    assert moved.moved == 0
    assert len(moved.damaged) == 1
    assert not store.has(oid)
