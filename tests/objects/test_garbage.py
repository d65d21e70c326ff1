"""What is not live is garbage: in a cache and on a remote, lists of files before the files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from assay.objects import garbage, transfer, tree
from assay.objects.cache import Cache
from assay.objects.garbage import oid_of
from assay.objects.remotes import RemoteSettings, open_remote
from assay.objects.tree import Entry


def folder(cache: Cache, *contents: bytes) -> str:
    return tree.add(cache, [Entry(f"f{n}", cache.add(c)) for n, c in enumerate(contents)])


def test_a_folder_keeps_its_files(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    kept, gone = folder(cache, b"1", b"2"), folder(cache, b"2", b"3")
    live, lost = garbage.with_files([kept], [cache])
    assert lost == []
    unused = garbage.find(cache, live)
    assert [one.oid for one in unused] == [gone, cache.add(b"3")]  # the list comes first
    assert [one.size for one in unused] == [len(cache.read(gone)), 1]
    garbage.delete(cache, unused)
    assert set(cache) == live


def test_what_was_written_lately_is_left_alone(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    oid = cache.add(b"1")
    written = cache.path(oid).stat().st_mtime
    assert garbage.find(cache, set(), before=written) == []
    assert len(garbage.find(cache, set(), before=written + 1)) == 1


def test_lists_are_looked_for_in_all_places_and_damaged_ones_are_lost(tmp_path: Path):
    first, second = Cache(tmp_path / "first"), Cache(tmp_path / "second")
    there, nowhere, bad = folder(second, b"1"), f"{'0' * 32}.dir", folder(first, b"2")
    first.path(bad).chmod(0o644)
    first.path(bad).write_bytes(b"[]")
    live, lost = garbage.with_files([there, nowhere, bad], [first, second])
    assert second.add(b"1") in live
    assert lost == [nowhere, bad]


def test_of_a_remote_only_objects_are_garbage(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    remote = open_remote(RemoteSettings(name="st", url=str(tmp_path / "store")))
    kept, gone = folder(cache, b"1"), folder(cache, b"2", b"1")
    transfer.push([kept, gone], cache, remote)
    (tmp_path / "store" / "files" / "md5" / "README").write_text("not an object")
    live, _ = garbage.with_files([kept], [cache])
    unused = garbage.find_on_remote(remote, live)
    assert [one.oid for one in unused] == [gone, cache.add(b"2")]
    garbage.delete_on_remote(remote, unused)
    assert garbage.find_on_remote(remote, live) == []
    assert transfer.pull([kept], Cache(tmp_path / "other"), remote).complete
    assert (tmp_path / "store" / "files" / "md5" / "README").exists()


@given(st.from_regex(r"[0-9a-f]{32}(\.dir)?", fullmatch=True), st.sampled_from(["", "a/", "a/b/"]))
def test_a_key_and_its_oid_lead_to_each_other(oid: str, prefix: str):
    assert oid_of(transfer.key_of(oid, f"{prefix}files/md5")) == oid
