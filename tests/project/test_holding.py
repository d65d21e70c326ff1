"""One writer at a time, and nobody waits for the dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.project.holding import holding

HOLD = """
import sys, pathlib
from assay.project.holding import holding
with holding(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_waits_and_says_for_whom(tmp_path: Path):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    first = subprocess.Popen(arguments, stdin=-1, stdout=-1, text=True)
    assert first.stdin is not None
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    second = subprocess.Popen(arguments, stdin=-1, stdout=-1, stderr=-1, text=True)
    assert second.stderr is not None
    assert f"process {first.pid}" in second.stderr.readline()
    first.communicate("")
    out, _ = second.communicate("")
    assert (out, second.returncode) == ("held\n", 0)


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    first = subprocess.Popen(arguments, stdin=-1, stdout=-1, text=True)
    assert first.stdout is not None
    first.stdout.readline()
    first.kill()
    first.communicate()
    with holding(tmp_path / "lock"):
        pass


def test_a_place_where_no_lock_can_be_is_named(tmp_path: Path):
    with pytest.raises(Error, match="no such file") as caught, holding(tmp_path / "no" / "lock"):
        pass
    assert caught.value.where == str(tmp_path / "no" / "lock")
