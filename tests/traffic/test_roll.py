"""Spool files become Parquet once, whenever the roller is killed and however often it starts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from assay.traffic import files
from assay.traffic import roll as rolling
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from tests.kill import kill_repeatedly
from tests.traffic.records import logged, numbered, numbers, record, rows_of

ROLL = "import sys; from pathlib import Path; from assay.traffic.roll import roll; roll(Path())"


def filled(folder: Path, *, n_files: int, n_records: int) -> Path:
    for number in range(n_files):
        with Spool(folder, flush_seconds=3600) as spool:
            for one in range(n_records):
                spool.append(numbered(number * n_records + one))
    return folder


def test_a_rolled_file_is_gone_and_its_rows_are_not(tmp_path):
    filled(tmp_path, n_files=2, n_records=3)

    rolled = roll(tmp_path)

    assert (rolled.n_files, rolled.n_records, rolled.n_rows) == (2, 6, 6)
    assert not files.list_spools(tmp_path)
    assert numbers(tmp_path) == list(range(6))
    assert roll(tmp_path) == rolling.Rolled()


def test_a_file_that_is_written_is_left_alone(tmp_path):
    with Spool(tmp_path, flush_seconds=3600) as spool:
        spool.append(numbered(1))
        spool.flush()
        assert roll(tmp_path).n_files == 0
        assert len(files.list_spools(tmp_path)) == 1


def test_an_empty_file_is_removed(tmp_path):
    files.spool_path(tmp_path, "0" * 36).touch()
    assert roll(tmp_path).n_files == 1
    assert not list(tmp_path.iterdir())


def test_a_roll_that_was_cut_off_is_done_again_under_the_same_names(tmp_path):
    filled(tmp_path, n_files=1, n_records=3)
    ((_, path),) = files.list_spools(tmp_path)
    data = path.read_bytes()
    roll(tmp_path)
    names = sorted(file.name for file in tmp_path.iterdir())

    path.write_bytes(data)  # as if it was killed before the last step
    assert numbers(tmp_path) == [0, 1, 2]
    roll(tmp_path)

    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert numbers(tmp_path) == [0, 1, 2]


def test_what_an_attempt_of_another_version_left_does_not_count(tmp_path):
    filled(tmp_path, n_files=1, n_records=3)
    ((file_id, path),) = files.list_spools(tmp_path)
    data = path.read_bytes()
    roll(tmp_path)
    (table,) = files.list_tables(tmp_path)
    other = files.table_path(tmp_path, file_id, part=7, first=1, last=2)
    shutil.copy(table.path, other)
    path.write_bytes(data)

    roll(tmp_path)

    assert not other.exists()
    assert numbers(tmp_path) == [0, 1, 2]


def test_a_large_file_is_rolled_in_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(rolling, "LARGEST_STEP", 500)
    filled(tmp_path, n_files=1, n_records=20)

    roll(tmp_path)

    assert len(files.list_tables(tmp_path)) > 1
    assert numbers(tmp_path) == list(range(20))


def test_values_without_a_common_type_are_kept_as_text(tmp_path):
    odd = record(inputs={"x": [1, "a", None, [1], {"b": 2}], "t": [[1], [[2]], [], None, None]},
                 outputs={})  # fmt: skip
    with Spool(tmp_path) as spool:
        spool.append(odd)

    roll(tmp_path)

    assert [text.count("input") for text in logged(tmp_path).values()] == [2, 2, 1, 1, 1]
    assert '"input.x": "{\\"b\\":2}"' in logged(tmp_path)[f"{odd.id}/4"]


def test_numbers_beyond_63_bits_keep_their_digits(tmp_path):
    large = [record(inputs={"x": [2**64 - 1]}), record(inputs={"x": [-(2**63)]})]
    with Spool(tmp_path) as spool:
        for one in large:
            spool.append(one)
    wanted = rows_of(large[0]) | rows_of(large[1])

    assert logged(tmp_path) == wanted
    roll(tmp_path)
    assert logged(tmp_path) == wanted


def test_without_room_nothing_is_lost_and_the_reason_is_given(tmp_path):
    filled(tmp_path, n_files=1, n_records=50)
    code = """
        import resource, sys
        from pathlib import Path
        from assay.traffic.roll import roll
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        (problem,) = roll(Path(sys.argv[1])).problems
        assert "file size limit" in problem.hint, problem
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), tmp_path], check=True)

    assert len(list(tmp_path.iterdir())) == 1
    assert numbers(tmp_path) == list(range(50))
    assert roll(tmp_path).n_rows == 50


def test_killed_at_any_moment_no_row_is_lost_or_doubled(tmp_path):
    master = filled(tmp_path / "master", n_files=12, n_records=500)
    wanted = list(range(12 * 500))
    count = iter(range(1000))

    def fresh() -> Path:
        return Path(shutil.copytree(master, tmp_path / f"copy-{next(count)}"))

    def inside(folder: Path) -> bool:
        names = [path.name for path in folder.iterdir()]
        has_begun = any(not name.endswith(".spool") for name in names)
        return has_begun and any(name.endswith(".spool") for name in names)

    def check(folder: Path) -> None:
        assert numbers(folder) == wanted
        roll(folder)
        assert numbers(folder) == wanted
        assert len(list(folder.iterdir())) == 12
        shutil.rmtree(folder)

    kill_repeatedly(
        [sys.executable, "-c", ROLL], fresh=fresh, inside=inside, check=check, count=6, seed=1
    )


def test_two_rollers_share_the_work(tmp_path):
    filled(tmp_path, n_files=8, n_records=300)
    rollers = [subprocess.Popen([sys.executable, "-c", ROLL], cwd=tmp_path) for _ in range(2)]

    assert [roller.wait() for roller in rollers] == [0, 0]
    assert len(files.list_tables(tmp_path)) == 8
    assert numbers(tmp_path) == list(range(2400))
