"""A store never shows half an object, and what a killed process left is taken away."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.objects.staging import staging


def _old(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "1").write_bytes(b"half")
    os.utime(folder, (time.time() - 120,) * 2)
    return folder


def test_a_staged_file_gets_its_name_when_it_is_published(tmp_path: Path):
    with staging(tmp_path) as stage:
        name = stage.new()
        Path(name).write_bytes(b"x")
        assert not (tmp_path / "ab" / "cd").exists()
        stage.publish([(name, str(tmp_path / "ab" / "cd"))])
    assert [p.name for p in tmp_path.iterdir()] == ["ab"]
    assert (tmp_path / "ab" / "cd").read_bytes() == b"x"


def test_what_is_not_published_is_gone(tmp_path: Path):
    with staging(tmp_path) as stage:
        Path(stage.new()).write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_swept_after_a_minute(tmp_path: Path):
    dead = _old(tmp_path / "tmp.dead")
    young = tmp_path / "tmp.young"
    young.mkdir()
    with staging(tmp_path):
        assert not dead.exists()
        assert young.exists()


def test_the_folder_of_a_living_process_stays_however_old(tmp_path: Path):
    folder = _old(tmp_path / "tmp.alive")
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with staging(tmp_path):
            assert folder.exists()
    finally:
        os.close(held)


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="not a directory") as caught, staging(tmp_path / "file" / "s"):
        pass
    assert caught.value.where == str(tmp_path / "file" / "s")
