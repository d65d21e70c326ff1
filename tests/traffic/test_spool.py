"""Appending never waits, never raises and never kills; what is not written is counted."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from assay.base.errors import Error
from assay.traffic import files, spool
from assay.traffic.find import find
from assay.traffic.log import read
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from tests.traffic.records import logged, numbered, numbers, record, rows_of

ROOT = Path(__file__).parents[2]


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python that finds the package and the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def done(code: str, *arguments: object) -> str:
    process = start(code, *arguments)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def test_what_was_flushed_is_read(tmp_path):
    wanted = record(inputs={"hour": [7, None], "day": ["mo", "tu"]}, outputs={"count": [1.5, 2.0]})
    with Spool(tmp_path / "log") as log:
        assert log.append(wanted)
        log.flush()

        assert logged(tmp_path / "log") == rows_of(wanted)
        assert (log.n_written, log.n_dropped, log.n_waiting, log.problem) == (1, 0, 0, None)


def test_the_thread_writes_without_being_asked(tmp_path):
    with Spool(tmp_path, flush_seconds=0.01) as log:
        log.append(numbered(1))
        while log.n_written == 0:
            time.sleep(0.001)

        assert numbers(tmp_path) == [1]


def test_closing_writes_what_waits_and_lets_the_file_be_rolled(tmp_path):
    log = Spool(tmp_path, flush_seconds=3600)
    log.append(numbered(1))
    log.close()

    assert roll(tmp_path).n_records == 1
    assert not log.append(numbered(2))
    assert log.n_dropped == 1


def test_a_full_backlog_drops_and_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "LARGEST_BACKLOG", 3)
    with Spool(tmp_path, flush_seconds=3600) as log:
        taken = [log.append(numbered(number)) for number in range(5)]
        log.flush()
        assert log.append(numbered(5))

    assert taken == [True, True, True, False, False]
    assert log.n_dropped == 2
    assert numbers(tmp_path) == [0, 1, 2, 5]


def test_a_backlog_of_large_requests_is_bounded_by_values(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "MOST_VALUES", 1000)
    large = {"inputs": {"n": list(range(600))}, "outputs": {}}
    with Spool(tmp_path, flush_seconds=3600) as log:
        with log._writing:  # as if the disk hung
            taken = [log.append(record(**large)) for _ in range(3)]
        assert taken == [True, False, False]


def test_arrays_are_logged_without_a_conversion_by_the_server(tmp_path):
    with Spool(tmp_path) as log:
        log.append(
            record(
                inputs={"x": np.array([1, 2], dtype="int8"), "image": np.ones((2, 2, 2), "f4")},
                outputs={"y": np.array([0.5, np.nan])},
            )
        )
    with read(tmp_path) as found:
        rows = found.rows('SELECT "input.x", "input.image", "output.y" FROM predictions')

    assert rows[0] == (1, [[1.0, 1.0], [1.0, 1.0]], 0.5)
    assert np.isnan(rows[1][2])


@pytest.mark.parametrize(
    "broken",
    [
        {"inputs": {"x": [object()]}},
        {"inputs": {"x": [2**70]}},
        {"inputs": {"x": ["\ud800"]}},
        {"inputs": {"x": [1, 2]}, "n_rows": 1},
        {"event_time": [1, 2]},
        {"id": "17"},
    ],
    ids=["class", "large number", "surrogate", "length", "times", "id"],
)
def test_a_record_that_cannot_be_logged_costs_itself_only(tmp_path, broken):
    with Spool(tmp_path, flush_seconds=3600) as log:
        log.append(numbered(1))
        log.append(record(**broken))
        log.append(numbered(2))
        log.flush()
        assert isinstance(log.problem, Error)
        assert log.n_dropped == 1
        log.append(numbered(3))
        log.flush()
        assert log.problem is None

    assert numbers(tmp_path) == [1, 2, 3]


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="not a directory"):
        Spool(tmp_path / "file" / "log")


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    with Spool(tmp_path / "log", roll_size=1) as log:
        log.append(numbered(1))
        log.flush()
        for path in (tmp_path / "log").iterdir():
            path.unlink()
        (tmp_path / "log").rmdir()
        log.append(numbered(2))

    assert numbers(tmp_path / "log") == [2]


def test_a_file_ends_at_its_size_and_at_its_age(tmp_path):
    with Spool(tmp_path / "size", flush_seconds=3600, roll_size=1) as log:
        for number in range(3):
            log.append(numbered(number))
            log.flush()
        assert roll(tmp_path / "size").n_files == 3
    with Spool(tmp_path / "age", flush_seconds=3600, roll_seconds=0) as log:
        log.append(numbered(1))
        log.flush()
        assert roll(tmp_path / "age").n_files == 1


FILE_LIMIT = """
    import resource, sys
    from pathlib import Path
    from assay.traffic.spool import Spool
    from tests.traffic.records import numbered, record

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    with Spool(Path(sys.argv[1]), flush_seconds=3600) as log:
        limit(2000)  # some ten records, and a part of one
        for number in range(100):
            log.append(numbered(number))
        log.flush()
        assert (log.n_written, log.n_dropped, log.problem) == (100, 0, None), log.problem

        log.append(record(inputs={"text": ["x" * 3000]}))  # fits nowhere
        log.append(numbered(100))
        log.flush()
        assert (log.n_written, log.n_dropped) == (101, 1)
        assert "ulimit -f" in log.problem.hint

        limit(0)
        log.append(numbered(101))
        log.flush()
        assert (log.n_written, log.n_dropped) == (101, 2)
        assert log.problem is not None

        limit(resource.RLIM_INFINITY)
        log.append(numbered(102))
        log.flush()
        assert (log.n_written, log.n_dropped, log.problem) == (102, 2, None)
"""


def test_a_file_size_limit_drops_what_does_not_fit_and_is_recovered_from(tmp_path):
    done(FILE_LIMIT, tmp_path)

    assert numbers(tmp_path) == [*range(101), 102]
    rolled = roll(tmp_path)
    assert (rolled.n_records, rolled.n_torn, rolled.n_corrupt) == (102, 0, 0)


FULL_DISK = """
    import os, sys
    from pathlib import Path
    from assay.traffic import log, roll
    from assay.traffic.spool import Spool
    from tests.traffic.records import numbered, numbers

    disk = Path(sys.argv[1])  # 64 KiB
    (disk / "else").write_bytes(bytes(40_000))
    with Spool(disk / "log", flush_seconds=3600) as spool:
        for number in range(300):
            spool.append(numbered(number))
        spool.flush()
        assert 0 < spool.n_written < 300 == spool.n_written + spool.n_dropped
        assert "space" in spool.problem.hint
        n_written = spool.n_written
        spool.append(numbered(300))
        spool.flush()
        assert (spool.n_written, spool.n_dropped) == (n_written, 301 - n_written)

        (disk / "else").unlink()
        spool.append(numbered(301))
        spool.flush()
        assert spool.problem is None
    assert numbers(disk / "log") == [*range(n_written), 301]
    with log.read(disk / "log") as found:
        assert (found.n_torn, found.n_corrupt) == (0, 0)
    room = os.statvfs(disk)
    (disk / "else").write_bytes(bytes(room.f_bavail * room.f_bsize))
    assert "space" in roll.roll(disk / "log").problems[0].hint
    assert numbers(disk / "log") == [*range(n_written), 301]
    (disk / "else").unlink()
    assert not roll.roll(disk / "log").problems
    assert numbers(disk / "log") == [*range(n_written), 301]
"""


def test_a_full_disk_drops_what_does_not_fit_and_is_recovered_from(tmp_path):
    mount = f"mount -t tmpfs -o size=64k none {tmp_path}"
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*inside, mount], check=False).returncode:
        pytest.skip("no file system may be mounted here")
    run = f'{mount} && exec {sys.executable} -c "$0" {tmp_path}'

    subprocess.run([*inside, run, textwrap.dedent(FULL_DISK)], cwd=ROOT, check=True)


WRITER = """
    import itertools, sys
    from pathlib import Path
    from assay.traffic.spool import Spool
    from tests.traffic.records import numbered

    log = Spool(Path(sys.argv[1]), flush_seconds=0.02, roll_size=int(sys.argv[2]))
    for number in itertools.count():
        log.append(numbered(number))
        if number % 50 == 0:
            sys.stdout.write(f"{log.n_written}\\n")
            sys.stdout.flush()
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_loses_only_what_was_not_written(tmp_path, seed):
    process = start(WRITER, tmp_path, 100_000)
    assert process.stdout is not None
    while int(process.stdout.readline()) == 0:
        pass
    time.sleep(random.Random(seed).random() / 4)
    process.send_signal(signal.SIGKILL)
    said = [int(line) for line in process.communicate()[0].splitlines() if line]

    found = numbers(tmp_path)

    assert found == list(range(len(found)))
    assert len(found) >= max(said, default=1)
    rolled = roll(tmp_path)
    assert rolled.n_records == len(found)
    assert numbers(tmp_path) == found
    assert not files.list_spools(tmp_path)


TWO = """
    import sys, time
    from pathlib import Path
    from assay.traffic.spool import Spool
    from tests.traffic.records import numbered

    first = int(sys.argv[2])
    with Spool(Path(sys.argv[1]), flush_seconds=0.005, roll_size=20_000) as log:
        for number in range(first, first + 3000):
            assert log.append(numbered(number))
            if number % 30 == 0:
                time.sleep(0.01)
"""

ROLLER = """
    import sys
    from pathlib import Path
    from assay.traffic.roll import roll

    while not roll(Path(sys.argv[1])).problems:
        pass
"""


def test_two_processes_share_a_folder_while_it_is_rolled_and_read(tmp_path):
    writers = [start(TWO, tmp_path, first) for first in (0, 3000)]
    roller = start(ROLLER, tmp_path)
    before = 0
    while any(writer.poll() is None for writer in writers) or files.list_spools(tmp_path):
        found = numbers(tmp_path)
        assert len(set(found)) == len(found) >= before
        before = len(found)
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    roller.kill()
    assert not roller.communicate()[1]

    assert numbers(tmp_path) == list(range(6000))
    assert not files.list_spools(tmp_path)


def test_the_hot_path_imports_neither_numpy_nor_duckdb(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from assay.traffic.record import Record
        from assay.traffic.spool import Spool
        from assay.traffic.ids import new_id

        with Spool(Path(sys.argv[1])) as log:
            log.append(Record(id=new_id(), endpoint="e", version="m/1", bundle="b", at=1,
                              latency=0.1, n_rows=1, inputs={"x": [1]}, outputs={"y": [2]}))
        assert log.n_written == 1
        assert not {"numpy", "duckdb"} & set(sys.modules)
    """
    done(code, tmp_path)


def test_a_request_without_rows_is_no_prediction(tmp_path):
    nothing = record(inputs={"x": []}, outputs={})
    with Spool(tmp_path) as log:
        log.append(nothing)
    assert find(tmp_path, nothing.id) is None
    roll(tmp_path)
    assert logged(tmp_path) == {}
