from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from assay.pipeline.previous import Previous, recover
from tests import make


def outputs(folder: Path) -> list[Path]:
    make.write(folder, {"file": "old", "folder/a": "old a", "folder/b/c": "old c"})
    (folder / "link").symlink_to("file")
    return [folder / name for name in ("file", "folder", "link", "new")]


def spoil(folder: Path) -> None:
    """Do what a failing stage may do."""
    make.write(folder, {"file": "half", "folder/other": "half", "new/half": "half"})
    (folder / "link").write_text("half")


def test_outputs_are_away_while_a_stage_runs_and_back_when_it_fails(tmp_path: Path):
    paths = outputs(tmp_path / "w")
    before = make.snapshot(tmp_path / "w")
    previous = Previous(tmp_path / "work", paths)
    assert list((tmp_path / "w").iterdir()) == []
    spoil(tmp_path / "w")
    previous.put_back()
    assert make.snapshot(tmp_path / "w") == before
    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_stage_keeps_stays_there_and_is_as_before_when_it_fails(tmp_path: Path):
    paths = outputs(tmp_path / "w")
    before = make.snapshot(tmp_path / "w")
    previous = Previous(tmp_path / "work", [], kept=paths)
    assert make.snapshot(tmp_path / "w") == before
    spoil(tmp_path / "w")
    previous.put_back()
    assert make.snapshot(tmp_path / "w") == before


def test_a_stage_that_ends_well_keeps_what_it_made(tmp_path: Path):
    previous = Previous(tmp_path / "work", outputs(tmp_path / "w"))
    spoil(tmp_path / "w")
    made = make.snapshot(tmp_path / "w")
    previous.drop()
    assert recover(tmp_path / "work") == 0
    assert make.snapshot(tmp_path / "w") == made


KILLED = """
import os, signal, sys
from pathlib import Path
from assay.pipeline.previous import Previous
folder = Path(sys.argv[1])
paths = [folder / "w" / name for name in ("file", "folder", "link", "new")]
Previous(folder / "work", paths[:2] + paths[3:], kept=[paths[2]])
(folder / "w" / "new").write_text("half")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_outputs_of_a_killed_process_come_back_with_the_next_one(tmp_path: Path):
    outputs(tmp_path / "w")
    before = make.snapshot(tmp_path / "w")
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert (tmp_path / "w" / "new").exists()
    assert recover(tmp_path / "work") == 1
    assert make.snapshot(tmp_path / "w") == before
    assert recover(tmp_path / "work") == 0


def test_outputs_of_a_process_that_lives_are_left_to_it(tmp_path: Path):
    previous = Previous(tmp_path / "work", outputs(tmp_path / "w"))
    assert recover(tmp_path / "work") == 0
    assert not (tmp_path / "w" / "file").exists()
    previous.put_back()


def test_a_kill_at_any_moment_loses_no_output(tmp_path: Path):
    """Each state of the folder in which a kill can leave it is made and recovered from."""
    paths = outputs(tmp_path / "w")
    before = make.snapshot(tmp_path / "w")
    previous = Previous(tmp_path / "work", paths)
    (folder,) = (tmp_path / "work").iterdir()
    os.close(previous._held)
    aside = make.snapshot(folder)
    assert {"0", "1", "2", "paths.json"} <= set(aside)
    for moved in range(4):  # killed while things were moved: the rest is still in its place
        shutil.rmtree(tmp_path / "w")
        shutil.copytree(folder, tmp_path / f"work{moved}" / folder.name, symlinks=True)
        outputs(tmp_path / "w")
        for number in range(3):
            kept = tmp_path / f"work{moved}" / folder.name / str(number)
            gone = kept if number >= moved else paths[number]
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        assert recover(tmp_path / f"work{moved}") == 1
        assert make.snapshot(tmp_path / "w") == before
    (folder / "paths.json").unlink()  # killed while they were thrown away: the new ones stay
    shutil.rmtree(folder / "1" / "b")
    spoil(tmp_path / "w")
    made = make.snapshot(tmp_path / "w")
    assert recover(tmp_path / "work") == 1
    assert make.snapshot(tmp_path / "w") == made
