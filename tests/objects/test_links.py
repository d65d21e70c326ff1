"""An object gets to its place by the first link type that works there, and only if it is whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.objects.cache import Cache, Damaged
from assay.objects.index import Index
from assay.objects.links import LINK_TYPES, Linker


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def linker(cache: Cache, *types) -> Linker:
    return Linker(cache, Index(cache.folder.parent / "index.db"), types)


@pytest.mark.parametrize("link", LINK_TYPES)
def test_each_link_type_gives_the_bytes(cache: Cache, tmp_path: Path, link):
    oid = cache.add(b"content")
    target = tmp_path / "target"
    linker(cache, link).place(oid, str(target))
    assert target.read_bytes() == b"content"
    assert target.samefile(cache.path(oid)) == (link in {"hardlink", "symlink"})
    assert target.is_symlink() == (link == "symlink")


def test_reflink_falls_back_to_copy_where_the_file_system_has_none(cache: Cache, tmp_path: Path):
    oid = cache.add(b"content")
    both = linker(cache, "reflink", "copy")
    for name in ("a", "b"):
        both.place(oid, str(tmp_path / name))
        assert (tmp_path / name).read_bytes() == b"content"
        assert os.access(tmp_path / name, os.W_OK)
        assert not (tmp_path / name).samefile(cache.path(oid))


def test_a_hard_link_falls_back_to_copy_across_file_systems(cache: Cache):
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == cache.folder.parent.stat().st_dev:
        pytest.skip("no second file system here")
    target = shared / f"assay-test-{os.getpid()}"
    try:
        linker(cache, "hardlink").place(cache.add(b"content"), str(target))
        assert target.read_bytes() == b"content"
    finally:
        target.unlink(missing_ok=True)


@pytest.mark.parametrize("link", LINK_TYPES)
def test_a_damaged_object_is_handed_out_by_no_link_type(cache: Cache, tmp_path: Path, link):
    oid = cache.add(b"content")
    cache.path(oid).chmod(0o644)
    cache.path(oid).write_bytes(b"damaged")
    with pytest.raises(Damaged, match=oid):
        linker(cache, link).place(oid, str(tmp_path / "target"))
    assert not os.path.lexists(tmp_path / "target")
    assert not cache.has(oid)


@pytest.mark.parametrize("link", LINK_TYPES)
def test_a_missing_object_is_named(cache: Cache, tmp_path: Path, link):
    with pytest.raises(NotFound, match="not in the cache"):
        linker(cache, link).place("0" * 32, str(tmp_path / "target"))
    assert not os.path.lexists(tmp_path / "target")


def test_an_executable_copy_gets_the_users_bit_and_the_object_does_not(cache, tmp_path: Path):
    oid = cache.add(b"#!/bin/sh\n")
    linker(cache, "copy").place(oid, str(tmp_path / "run"), is_executable=True)
    assert (tmp_path / "run").stat().st_mode & stat.S_IXUSR
    assert stat.S_IMODE(cache.path(oid).stat().st_mode) == 0o444


def test_a_target_that_exists_is_not_overwritten(cache: Cache, tmp_path: Path):
    (tmp_path / "target").write_text("mine")
    with pytest.raises(FileExistsError):
        linker(cache, "copy").place(cache.add(b"content"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_text() == "mine"
