"""A file is there as a whole or not at all, and a path out of data stays in its folder."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.base.files import (
    explain,
    inside,
    sync_filesystem,
    sync_folder,
    syncing_together,
    write_atomic,
    writing,
)


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path):
    path = tmp_path / "file"
    for content in ("one", b"two\xff"):
        write_atomic(path, content)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_bytes(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), writing(path) as handle:  # noqa: PT012 -- what fails is the block
        handle.write(b"half")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_stay_unless_they_are_given(tmp_path: Path):
    path = tmp_path / "file"
    write_atomic(path, "x", mode=0o640)
    write_atomic(path, "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write_atomic(path, "z", mode=0o444)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_atomic(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_folder_that_is_not_there_is_said_to_be_so(tmp_path: Path):
    with pytest.raises(Error, match="no such file or directory") as caught:
        write_atomic(tmp_path / "no" / "file", "x")
    assert caught.value.where == str(tmp_path / "no" / "file")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EFBIG])
def test_what_the_system_says_comes_with_the_next_step(code: int):
    error = explain(OSError(code, os.strerror(code)), "place")
    assert error.what == os.strerror(code).lower()
    assert error.where == "place"
    assert error.hint


@pytest.mark.parametrize("relative", ["", ".", "..", "/etc", "a/../b", "a//b", "a/", "./a", "a\0"])
def test_a_path_that_leaves_its_folder_is_refused(tmp_path: Path, relative: str):
    with pytest.raises(Error, match="leaves its folder") as caught:
        inside(tmp_path, relative, where="manifest")
    assert caught.value.where == "manifest"


def test_a_path_through_a_link_is_refused_and_a_link_at_its_end_is_not(tmp_path: Path):
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(Error, match="leaves its folder"):
        inside(tmp_path, "link/etc")
    assert inside(tmp_path, "link") == tmp_path / "link"


@given(st.text(max_size=12).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)))
def test_whatever_the_path_it_is_inside_or_refused(relative: str):
    folder = Path("/nowhere/at/all")
    try:
        path = inside(folder, relative)
    except Error:
        return
    assert folder in path.parents
    assert os.path.normpath(path) == str(path)


def test_syncing_a_file_system_leaves_no_file_open(tmp_path: Path):
    before = sorted(Path("/proc/self/fd").iterdir())
    sync_filesystem(tmp_path)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_a_folder_that_another_thread_takes_away_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Stages that run at once have folders of their own, which go with them."""
    folder, real = tmp_path / "of-a-stage", os.open
    folder.mkdir()

    def open_late(path: str | Path, flags: int) -> int:
        if Path(path) == folder and folder.exists():
            folder.rmdir()
        return real(path, flags)

    with syncing_together() as sync:
        sync_folder(folder)
        monkeypatch.setattr(os, "open", open_late)
        sync()
    assert not folder.exists()
