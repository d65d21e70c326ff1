"""A declaration is held against the tables that are there, before anything reads them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from assay.project import workspace
from assay.workflows import checking
from tests import make

DECLARED = """
data:
  tables:
    raw: {path: raw.csv, time: day, key: [day, hr]}
    test: {path: test.FORM, time: start, key: [start]}
model: {name: bikes, task: regression, target: cnt}
evaluation:
  table: test
  metrics: [mae]
  slices:
    rush: hour(start) IN (7, 8) AND temperature < 0.5
    fast: "lower(city) LIKE 'b%' AND wind > 1"
  baselines: {before: {sql: "coalesce(cnt_before, 0)"}}
deploy: {endpoint: bikes}
monitor: {}
retrain:
  data:
    table: raw
    columns: {day: "strftime(start, '%Y-%m-%d')", hr: hour(start), total: cnt * 2}
"""
RAW = "day,hr,total\n"
TEST = "start,temperature,wind,city,cnt_before,cnt\n"


@pytest.fixture(params=["csv", "parquet"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    root = make.project(tmp_path / "project")
    make.write(
        root, {"assay.yaml": DECLARED.replace("FORM", request.param), "raw.csv": RAW}
    )  # fmt: skip
    make.write(root, {"test.csv": TEST + "2012-01-01T07:00,0.5,3,Bonn,4,5\n"})
    if request.param == "parquet":
        into = f"COPY (FROM read_csv('{root}/test.csv')) TO '{root}/test.parquet' (FORMAT parquet)"
        with duckdb.connect() as connection:
            connection.execute(into)
    return root


def change(root: Path, old: str, new: str) -> None:
    declared = (root / "assay.yaml").read_text()
    assert old in declared
    (root / "assay.yaml").write_text(declared.replace(old, new))


def problems(root: Path) -> list[tuple[str, str]]:
    found = checking.check(workspace.find(root)).problems
    return [(one.where.removeprefix("assay.yaml: "), one.what) for one in found]


def test_columns_that_are_all_there_are_no_problem(root: Path):
    assert problems(root) == []


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("target: cnt", "target: cn", "model.target",
         "the table 'test' has no column 'cn' (did you mean 'cnt'?)"),
        ("time: start", "time: strat", "data.tables.test.time", "(did you mean 'start'?)"),
        ("key: [day, hr]", "key: [day, zzzz]", "data.tables.raw.key",
         "the table 'raw' has no column 'zzzz' (it has: day, hr, total)"),
        ("temperature < 0.5", "temprature < 0.5", "evaluation.slices.rush",
         "has the unknown column 'temprature' (did you mean 'temperature'?)"),
        ("wind > 1", "wind >", "evaluation.slices.fast", "DuckDB refuses"),
        ("wind > 1", "wind > 1) OR (true", "evaluation.slices.fast", "not one SQL expression"),
        ("lower(city)", "lowr(city)", "evaluation.slices.fast", "lowr"),
        ("cnt_before, 0", "cnt_befor, 0", "evaluation.baselines.before", "'cnt_before'?"),
        ("total: cnt * 2", "totl: cnt * 2", "retrain.data.columns", "(did you mean 'total'?)"),
        ("total: cnt * 2", "total: count * 2", "retrain.data.columns.total",
         "the unknown column 'count'"),
    ],
)  # fmt: skip
def test_a_column_that_no_table_has_is_named(
    root: Path, old: str, new: str, where: str, what: str
):
    change(root, old, new)
    found = problems(root)
    assert [place for place, _ in found] in ([where], [where, "retrain.data.columns.hr"])
    assert what in found[0][1]


def test_columns_of_a_table_that_a_stage_has_to_make_are_left_out(root: Path):
    for path in root.glob("test.*"):
        path.unlink()
    form = "csv" if "test.csv" in (root / "assay.yaml").read_text() else "parquet"
    make.write(root, {"dvc.yaml": f"stages: {{prepare: {{cmd: 'true', outs: [test.{form}]}}}}\n"})
    change(root, "target: cnt", "target: nope")
    assert problems(root) == []


def test_a_table_that_cannot_be_read_is_a_problem_of_its_own(root: Path):
    (root / "raw.csv").write_bytes(b"day,day\n")
    assert problems(root) == [
        ("data.tables.raw", "raw.csv: the header names the column 'day' more than once")
    ]


def test_sql_that_is_checked_reads_no_file(root: Path):
    change(root, "wind > 1", f"(SELECT count(*) FROM '{root}/raw.csv') > 1")
    ((where, what),) = problems(root)
    assert where == "evaluation.slices.fast"
    assert "disabled" in what
