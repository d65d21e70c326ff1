"""Many files that become durable at once are each whole for whoever looks meanwhile."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.base import files
from assay.base.files import sync_filesystem, syncing_together, write_atomic


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the system was asked to make durable; it is asked all the same."""
    calls: list[str] = []
    real: Callable[[int], None] = os.fsync

    def fsync(descriptor: int) -> None:
        calls.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_files_are_there_at_once_and_the_disk_is_waited_for_at_the_end(
    tmp_path: Path, synced: list[str]
):
    write_atomic(tmp_path / "alone", "x")
    assert len(synced) == 2  # the file, and its name
    with syncing_together() as sync:
        for number in range(50):
            write_atomic(tmp_path / str(number), str(number))
            assert (tmp_path / str(number)).read_text() == str(number)
            sync_filesystem(tmp_path)
        sync()
        write_atomic(tmp_path / "last", "y")
    assert len(synced) == 2
    write_atomic(tmp_path / "after", "z")
    assert len(synced) == 4


def test_a_folder_that_is_gone_by_then_does_not_matter(tmp_path: Path):
    with syncing_together():
        (tmp_path / "folder").mkdir()
        write_atomic(tmp_path / "folder" / "file", "x")
        shutil.rmtree(tmp_path / "folder")
    assert files._waiting is None


def test_within_another_one_it_is_a_part_of_that(tmp_path: Path, synced: list[str]):
    with syncing_together():
        with syncing_together() as sync:
            write_atomic(tmp_path / "a", "x")
            sync()
        write_atomic(tmp_path / "b", "x")
    assert synced == []


def test_an_error_ends_it(tmp_path: Path, synced: list[str]):
    with pytest.raises(ZeroDivisionError), syncing_together():
        raise ZeroDivisionError
    write_atomic(tmp_path / "a", "x")
    assert len(synced) == 2


class Slow(type(Path())):  # type: ignore[misc] # Path itself cannot be a base before 3.12
    """A folder that another thread is about to note when somebody else comes in between."""

    def __hash__(self) -> int:
        if threading.current_thread().name == "stage":
            arrived.set()
            assert go_on.wait(20)
        return int(super().__hash__())


arrived, go_on = threading.Event(), threading.Event()


@pytest.mark.parametrize("when", ["in the block", "at its end"])
def test_a_folder_that_is_noted_while_others_become_durable_becomes_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    arrived.clear()
    go_on.clear()
    asked: list[str] = []
    real = files._sync_filesystem_of

    def sync_filesystem_of(descriptor: int) -> None:
        asked.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(files, "_sync_filesystem_of", sync_filesystem_of)
    late = Slow(tmp_path)
    stage = threading.Thread(target=sync_filesystem, args=(late,), name="stage")

    def note_late() -> None:
        go_on.set()
        stage.join(20)

    with syncing_together() as sync:
        stage.start()
        assert arrived.wait(20)
        if when == "in the block":
            sync()
            note_late()
    if when == "at its end":
        note_late()
    assert asked == [str(tmp_path)]
