"""Splits: stable under growth, honest about time, and the same bytes each time."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound, Usage
from assay.data import split
from assay.data.read import open_table
from tests import make

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


def csv(path: Path, header: str, rows) -> Path:
    path.write_text("\n".join([header, *map(str, rows), ""]), encoding="utf-8")
    return path


def days(path: Path, n: int = 100) -> Path:
    start = dt.date(2011, 1, 1)
    return csv(path, "day,x", (f"{start + dt.timedelta(days=at)},{at}" for at in range(n)))


def random_parts(path: Path, **options):
    with open_table([path]) as table:
        return split.at_random(table, **options).parts


def time_split(path: Path, **options) -> split.Split:
    with open_table([path]) as table:
        return split.by_time(table, column="day", **options)


def test_a_random_split_has_about_the_shares_it_was_given(tmp_path: Path):
    path = csv(tmp_path / "t.csv", "id", range(10_000))
    parts = random_parts(path, key=["id"], shares={"test": 0.2, "validation": 0.1})
    assert list(parts) == ["train", "validation", "test"]
    assert len(parts["test"]) == pytest.approx(2000, abs=160)
    assert len(parts["validation"]) == pytest.approx(1000, abs=120)
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(10_000))


def test_no_row_moves_when_the_table_grows_or_is_in_another_order(tmp_path: Path):
    small = csv(tmp_path / "small.csv", "id", range(500))
    large = csv(tmp_path / "large.csv", "id", reversed(range(2000)))
    before = random_parts(small, key=["id"], shares={"test": 0.3})["test"]
    after = 1999 - random_parts(large, key=["id"], shares={"test": 0.3})["test"]
    assert set(before) == {number for number in after if number < 500}


def test_the_test_rows_stay_when_a_validation_part_is_added(tmp_path: Path):
    path = csv(tmp_path / "t.csv", "id", range(500))
    alone = random_parts(path, key=["id"], shares={"test": 0.3})
    both = random_parts(path, key=["id"], shares={"test": 0.3, "validation": 0.2})
    assert np.array_equal(alone["test"], both["test"])


def test_another_salt_gives_another_split(tmp_path: Path):
    path = csv(tmp_path / "t.csv", "id", range(500))
    a, b = (random_parts(path, key=["id"], shares={"test": 0.5}, salt=salt)["test"]
            for salt in ("", "b"))  # fmt: skip
    assert not np.array_equal(a, b)


def test_rows_of_a_group_stay_together(tmp_path: Path):
    path = csv(tmp_path / "t.csv", "user,x", (f"u{at % 50},{at}" for at in range(1000)))
    parts = random_parts(path, key=["user"], shares={"test": 0.3})
    assert not {row % 50 for row in parts["test"]} & {row % 50 for row in parts["train"]}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(TEXT | st.none(), TEXT | st.none()), min_size=20, max_size=40), TEXT)
def test_the_engines_hash_is_the_one_that_is_written_down(tmp_path_factory, pairs, salt):
    path = tmp_path_factory.mktemp("hash") / "t.parquet"
    connection = duckdb.connect()
    connection.execute("CREATE TABLE k (a VARCHAR, b VARCHAR)")
    connection.executemany("INSERT INTO k VALUES (?, ?)", pairs)
    connection.execute(f"COPY k TO '{path}' (FORMAT parquet)")
    expected = {at for at, pair in enumerate(pairs) if split.unit(pair, salt=salt) < 0.5}
    try:
        parts = random_parts(path, key=["a", "b"], shares={"test": 0.5}, salt=salt)
    except Error:
        assert len(expected) in {0, len(pairs)}
    else:
        assert set(parts["test"]) == expected


def test_a_split_by_time_never_trains_on_what_comes_later(tmp_path: Path):
    made = time_split(days(tmp_path / "t.csv"), cuts={"test": 0.2, "validation": 0.1})
    assert made.parts["test"].tolist() == list(range(80, 100))
    assert made.parts["validation"].tolist() == list(range(70, 80))
    assert made.parts["train"].tolist() == list(range(70))
    assert made.rule.cuts == {"validation": "2011-03-12T00:00:00", "test": "2011-03-22T00:00:00"}


def test_a_cut_is_a_moment_that_belongs_to_the_later_part(tmp_path: Path):
    made = time_split(days(tmp_path / "t.csv"), cuts={"test": "2011-04-01"})
    assert made.parts["test"].tolist() == list(range(90, 100))
    aware = time_split(days(tmp_path / "t.csv"), cuts={"test": "2011-04-01T02:00:00+02:00"})
    assert aware.parts["test"].tolist() == made.parts["test"].tolist()


def test_rows_in_the_gap_are_in_no_part(tmp_path: Path):
    made = time_split(
        days(tmp_path / "t.csv"),
        cuts={"validation": "2011-03-02", "test": "2011-04-01"},
        gap=3 * 86400,
    )
    assert made.parts["train"].tolist() == list(range(57))
    assert made.parts["validation"].tolist() == list(range(60, 87))
    assert made.parts["test"].tolist() == list(range(90, 100))
    assert made.n_left_out == 6


def test_rows_of_the_same_moment_stay_together_and_those_without_one_are_left_out(tmp_path: Path):
    rows = ["2011-01-01"] * 5 + [""] * 2 + ["2011-01-02"] * 5
    made = time_split(csv(tmp_path / "t.csv", "day,x", [f"{day},1" for day in rows]),
                      cuts={"test": 0.3})  # fmt: skip
    assert made.parts["train"].tolist() == [0, 1, 2, 3, 4]
    assert made.parts["test"].tolist() == [7, 8, 9, 10, 11]
    assert made.n_left_out == 2


def test_what_is_written_is_loaded_again_and_has_the_same_bytes_each_time(tmp_path: Path):
    path = csv(tmp_path / "t.csv", "id", range(100))
    for name in ("a", "b"):
        with open_table([path]) as table:
            made = split.at_random(table, key=["id"], shares={"test": 0.3})
        split.write(tmp_path / name, made, table="t.csv", data="md5:1")
    loaded = split.load(tmp_path / "a", data="md5:1")
    assert all(np.array_equal(loaded[name], rows) for name, rows in made.parts.items())
    assert make.snapshot(tmp_path / "a") == make.snapshot(tmp_path / "b")


def test_a_part_that_is_no_longer_made_is_removed(tmp_path: Path):
    path, folder = days(tmp_path / "t.csv"), tmp_path / "split"
    first = time_split(path, cuts={"test": 0.2, "validation": 0.1})
    split.write(folder, first, table="t", data=None)
    split.write(folder, time_split(path, cuts={"test": 0.2}), table="t", data=None)
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "split.json",
        "test.csv",
        "train.csv",
    ]


def test_a_list_that_was_changed_or_is_of_other_data_is_refused(tmp_path: Path):
    folder = tmp_path / "split"
    made = time_split(days(tmp_path / "t.csv"), cuts={"test": 0.2})
    split.write(folder, made, table="t", data="md5:1")
    with pytest.raises(Error, match="the split is of md5:1, the table is md5:2"):
        split.load(folder, data="md5:2")
    (folder / "test.csv").write_text("row\n1\n")
    with pytest.raises(Error, match="not the one that was written"):
        split.load(folder)
    (folder / "split.json").write_text("{}")
    with pytest.raises(Error, match="not the header of a split"):
        split.load(folder)
    with pytest.raises(NotFound, match="there is no split here"):
        split.load(tmp_path / "nowhere")


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path):
    make.write(tmp_path / "notes", {"todo.txt": "x"})
    made = time_split(days(tmp_path / "t.csv"), cuts={"test": 0.2})
    with pytest.raises(Usage, match=r"holds 'todo\.txt'"):
        split.write(tmp_path / "notes", made, table="t", data=None)
    assert [entry.name for entry in (tmp_path / "notes").iterdir()] == ["todo.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuts": {"test": 1.5}}, "between 0 and 1"),
        ({"cuts": {"test": 0.7, "validation": 0.4}}, "no row to train on"),
        ({"cuts": {"test": "soon"}}, "neither a share nor a moment"),
        ({"cuts": {"test": "1999-01-01"}}, "no row is left for 'train'"),
        ({"cuts": {"test": "2011-02-01", "validation": "2011-03-01"}}, "before the test"),
        ({"cuts": {"test": 0.2}, "gap": -1.0}, "not negative"),
        ({"cuts": {"validation": 0.2}}, "a part to test on"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(tmp_path: Path, options, message: str):
    with pytest.raises(Error, match=message):
        time_split(days(tmp_path / "t.csv"), **options)


def test_a_key_must_be_there_and_be_exact(tmp_path: Path):
    path = csv(tmp_path / "t.csv", "id,x", (f"{at},{at}.5" for at in range(30)))
    with pytest.raises(Usage, match="the columns that name a row"):
        random_parts(path, key=[], shares={"test": 0.5})
    with pytest.raises(NotFound, match="no column 'ids'"):
        random_parts(path, key=["ids"], shares={"test": 0.5})
    with pytest.raises(Error, match="cannot be a key"):
        random_parts(path, key=["x"], shares={"test": 0.5})


def test_the_command_uses_what_is_declared_and_names_the_content(project: Path):
    days(project / "t.csv")
    make.write(
        project, {"assay.yaml": "data: {tables: {t: {path: t.csv, time: day, key: [x]}}}\n"}
    )
    out = make.done(project, "split", "t", "--by", "time", "-o", "s", "--gap", "2d")
    assert out.splitlines()[:2] == ["part   rows  share  starts",
                                    "train    78    78%"]  # fmt: skip
    assert "2 rows are in no part" in out
    header = json.loads(make.done(project, "split", "t", "--by", "random", "-o", "r", "--json"))
    assert header["data"].startswith("md5:")
    assert header["rule"]["key"] == ["x"]
    assert sum(part["n_rows"] for part in header["parts"].values()) == 100
    assert set(split.load(project / "r", data=header["data"])) == {"train", "test"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--by", "random", "--gap", "2d"),
        ("--by", "random", "--test", "2011-02-01"),
        ("--by", "time", "--salt", "x"),
        ("--by", "time", "--gap", "soon"),
        ("--by", "luck"),
        (),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(project: Path, arguments):
    days(project / "t.csv")
    assert make.assay(project, "split", "t.csv", "-o", "s", *arguments).code == 2
    assert not (project / "s").exists()
