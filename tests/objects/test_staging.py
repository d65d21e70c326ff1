"""A store never shows half an object, and what a killed process left is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.objects.staging import Staging, abandoned, staging, sweep

DEAD = """
import os, signal, sys
from pathlib import Path
from assay.objects.staging import Staging, abandoned, staging, sweep
with staging(Path(sys.argv[1])) as stage:
    Path(stage.new()).write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _killed(store: Path) -> Path:
    """Return the folder of a process that was killed in it."""
    subprocess.run([sys.executable, "-c", DEAD, str(store)], check=False)
    (folder,) = store.glob("tmp.*")
    return folder


def _old(folder: Path) -> None:
    os.utime(folder, (time.time() - 8 * 24 * 3600,) * 2)


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


def test_the_folder_of_a_killed_process_is_swept_at_once(tmp_path: Path):
    dead = _killed(tmp_path)
    assert abandoned(tmp_path) == [dead]
    with staging(tmp_path):
        assert not dead.exists()
    _killed(tmp_path)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_process_stays_however_old(tmp_path: Path):
    with staging(tmp_path) as stage:
        folder = Path(stage.place).parent
        _old(folder)
        code = "import sys; from pathlib import Path; from assay.objects.staging import sweep; "
        code += "sweep(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert folder.is_dir()
        with staging(tmp_path):
            assert folder.is_dir()
        assert abandoned(tmp_path) == []


def test_the_folder_of_another_machine_is_swept_after_a_week(tmp_path: Path):
    folder = tmp_path / "tmp.12345678.0123456789abcdef"
    folder.mkdir()
    sweep(tmp_path)
    assert folder.exists()
    _old(folder)
    sweep(tmp_path)
    assert not folder.exists()


def _fill(stage: Staging, names: Sequence[str]) -> None:
    for name in names:
        path = Path(stage.place, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def _no_half(key: str, path: str) -> bool:
    return Path(path).read_text() == key and "half" not in key


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError, OSError])
def test_what_is_whole_when_it_is_broken_off_stays(tmp_path: Path, end: type[BaseException]):
    def fill() -> None:
        with staging(tmp_path) as stage, stage.filling(str(tmp_path), _no_half):
            _fill(stage, ["ab/1", "ab/half", "cd/2"])
            raise end

    with pytest.raises((end, Error)):
        fill()
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["1", "2"]


def test_an_error_lets_nothing_appear_where_that_is_wanted(tmp_path: Path):
    def fill() -> None:
        with (
            staging(tmp_path) as stage,
            stage.filling(str(tmp_path), _no_half, after_error=False) as batches,
        ):
            _fill(stage, ["ab/1"])
            batches.settle()
            _fill(stage, ["ab/2"])
            raise Error("no")

    with pytest.raises(Error, match="no"):
        fill()
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["1"]


def test_a_batch_is_due_by_its_size_and_then_begins_anew(tmp_path: Path):
    with staging(tmp_path) as stage, stage.filling(str(tmp_path), _no_half) as batches:
        batches.grow(1 << 20)
        assert not batches.is_due()
        _fill(stage, ["ab/1"])
        batches.grow(64 << 20)
        assert batches.is_due()
        batches.settle()
        assert not batches.is_due()
        assert (tmp_path / "ab" / "1").exists()
        _fill(stage, ["ab/2", "ef/3"])
        batches.settle()
        assert {p.name for p in tmp_path.glob("*/[0-9]")} == {"1", "2", "3"}


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="not a directory") as caught, staging(tmp_path / "file" / "s"):
        pass
    assert caught.value.where == str(tmp_path / "file" / "s")
