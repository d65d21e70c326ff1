"""Schemas: what is inferred, what a person wrote stays, and the file around it too."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.data import profile, schema, schema_file
from assay.data.read import open_table
from assay.data.validate import validate
from assay.project import declaration, yaml12
from assay.project.declaration import (
    ColumnSchema,
    NumberDomain,
    Presence,
    StringDomain,
    TableSchema,
    TimeDomain,
)
from assay.project.grammar import Source
from tests import make


def write(path: Path, **columns) -> Path:
    rows = [",".join(columns)]
    rows += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return path


def inferred(tmp_path: Path, *, key=(), **columns) -> TableSchema:
    path = write(tmp_path / "t.csv", **columns)
    with open_table([path]) as table:
        return schema.infer(profile.of_table(table), tails=schema.tails(table), key=key)


def test_types_presence_and_few_texts_are_inferred_as_tfdv_does(tmp_path: Path):
    found = inferred(
        tmp_path,
        n=[1, 2, 2, 3] * 10,
        x=[0.5, "", 1.5, 2.5] * 10,
        day=["2011-01-01", "2011-01-02"] * 20,
        flag=["true", "false"] * 20,
        color=["red", "blue", "red", "teal"] * 10,
        empty=[""] * 40,
    ).columns
    types = {name: column.type for name, column in found.items()}
    assert types == {"n": "INT", "x": "FLOAT", "day": "TIME", "flag": "BOOL", "color": "BYTES",
                     "empty": "BYTES"}  # fmt: skip
    assert found["n"].presence == Presence(min_fraction=1.0, min_count=1)
    assert found["x"].presence == Presence(min_count=1)
    assert found["empty"].presence == Presence(min_count=0)
    assert found["color"].string_domain == StringDomain(value=["blue", "red", "teal"])
    assert all(column.inferred for column in found.values())


def test_what_tfdv_is_trapped_by_is_not_inferred(tmp_path: Path):
    found = inferred(
        tmp_path,
        count=[0, 1] * 20,
        one=["yes"] * 40,
        code=[f"c{at}" for at in range(40)],
    ).columns
    assert found["count"].type == "INT"
    assert found["one"].string_domain == StringDomain(value=["yes"])
    assert found["code"].string_domain is None
    assert found["code"].unique


def test_a_range_is_suggested_from_the_tails_and_never_the_raw_ends(tmp_path: Path):
    x = np.random.default_rng(0).normal(0, 2, 5000)
    domain = inferred(tmp_path, x=x).columns["x"].float_domain
    assert domain is not None
    low, first, third, high = np.quantile(x, [0.001, 0.25, 0.75, 0.999])
    iqr = third - first
    assert domain.min == pytest.approx(low - 3 * iqr, abs=0.1)
    assert domain.max == pytest.approx(high + 3 * iqr, abs=0.1)
    assert domain.min <= low - 3 * iqr
    assert domain.max >= high + 3 * iqr


def test_a_range_holds_the_outliers_that_were_seen(tmp_path: Path):
    x = np.random.default_rng(0).normal(0, 2, 5000)
    domain = inferred(tmp_path, x=[*x, 1e6]).columns["x"].float_domain
    assert domain is not None
    assert domain.min == pytest.approx(np.quantile(x, 0.001) - 8.1, abs=0.3)
    assert domain.max is not None
    assert 1e6 < domain.max < 1e6 + 20


def test_what_is_never_negative_gets_no_limit_below_0(tmp_path: Path):
    amounts = np.random.default_rng(0).lognormal(7, 1, 3000).round(2)
    found = inferred(tmp_path, amount=amounts, loss=-amounts, count=amounts.astype(int)).columns
    amount, loss, count = found["amount"].float_domain, found["loss"].float_domain, found["count"]
    assert amount is not None
    assert amount.min == 0
    assert loss is not None
    assert loss.max == 0
    assert count.int_domain is not None
    assert count.int_domain.min == 0


def test_few_different_integers_get_the_range_of_what_was_seen(tmp_path: Path):
    found = inferred(tmp_path, target=[0, 1, 1] * 20, month=[*range(1, 13)] * 5, odd=range(60))
    ranges = {
        name: (domain.min, domain.max)
        for name in ("target", "month")
        if (domain := found.columns[name].int_domain) is not None
    }
    assert ranges == {"target": (0, 1), "month": (1, 12)}
    few = inferred(tmp_path, x=[3, 5, 9, 12, 14]).columns["x"].int_domain
    assert few is not None
    assert few.max is not None
    assert few.max > 14  # five rows are no code of five values


def test_columns_without_spread_and_keys_get_no_range(tmp_path: Path):
    found = inferred(
        tmp_path, key=["id"], id=range(100), serial=range(500, 600), zero=[0.0] * 99 + [7.5]
    )
    assert [found.columns[name].int_domain for name in ("id", "serial")] == [None] * 2
    assert found.columns["zero"].float_domain == NumberDomain(disallow_nan=True, disallow_inf=True)
    assert not found.columns["id"].unique  # it is checked as the key
    assert found.columns["serial"].unique


def test_nan_and_infinity_are_disallowed_where_there_was_none(tmp_path: Path):
    found = inferred(tmp_path, a=[0.5, 1.5] * 20, b=[0.5, "nan"] * 20, c=[0.5, "inf"] * 20).columns
    flags = {
        name: (domain.disallow_nan, domain.disallow_inf)
        for name in "abc"
        if (domain := found[name].float_domain) is not None
    }
    assert flags == {"a": (True, True), "b": (False, True), "c": (True, False)}


def test_the_same_table_gives_the_same_schema(tmp_path: Path):
    x = np.random.default_rng(1).lognormal(size=3000)
    assert inferred(tmp_path, x=x) == inferred(tmp_path, x=x)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=6, max_size=6).map(sorted))
def test_a_suggested_range_holds_all_that_was_seen(values):
    least, *quantiles, most = values
    ends = schema.suggested_range(quantiles, least=least, most=most)
    if ends is not None:
        assert ends[0] <= least
        assert most <= ends[1]


cells = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 3),
    st.floats(width=32),
    finite,
    st.sampled_from(["", "NA", "x", "red", "blue", "true", "no", "007", "1e400", "2011-01-01",
                     "2011-01-01T08:00:00Z", "1900-02-30", " 7 ", "-0", "nan", "inf"]),
    st.text("abc é'{}", max_size=3),
)  # fmt: skip
kinds = st.sampled_from(
    [st.integers(0, 3), st.integers(), finite, st.floats(), st.sampled_from(["red", "blue", ""])]
)


@st.composite
def column_values(draw: st.DrawFn, n_rows: int) -> list[object]:
    """Draw a column, mostly of one kind; of few values repeated, or of many."""
    some = draw(st.lists(draw(kinds), min_size=1, max_size=12))
    values = (some * n_rows)[:n_rows] if some else []
    for at in draw(st.lists(st.integers(0, max(n_rows - 1, 0)), max_size=4)) if n_rows else []:
        values[at] = draw(cells)
    return values


@settings(deadline=None, max_examples=30, phases=[Phase.generate])
@given(data=st.data())
def test_a_table_fits_the_schema_that_was_inferred_from_it(tmp_path_factory, data):
    n_rows = data.draw(st.sampled_from([0, 1, 5, 30, 60]))
    names = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    columns = {name: data.draw(column_values(n_rows)) for name in names}
    path = tmp_path_factory.mktemp("own") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "row"])
        writer.writerows(zip(*columns.values(), range(n_rows), strict=True))
    with open_table([path]) as table:
        found = schema.infer(profile.of_table(table), tails=schema.tails(table))
    written = schema_file.updated(PERSONS, "t", found, where="assay.yaml")

    assert validate([path], read(written), name="t").anomalies == ()


@pytest.mark.parametrize(
    "sql",
    [
        "(random() * 1e4)::DECIMAL(18, 3)", "(i * 1.1)::REAL", "i::HUGEINT * 1e20::HUGEINT",
        "if(i % 9 = 0, 'inf'::REAL, i::REAL)", "if(i % 9 = 0, '-inf'::DOUBLE, -i)", "i % 2 = 0",
        "(i % 3)::UTINYINT", "9223372036854775807 - i", "DATE '2011-01-01' + i::INT", "{'a': i}",
        "[i, i]", "'w' || (i % 5)", "if(i < 50, NULL, i % 4)", "'x'::BLOB", "uuid()",
        "exp(20 * random())",
    ],
)  # fmt: skip
def test_a_table_with_types_of_its_own_fits_its_schema(tmp_path: Path, sql: str):
    path = tmp_path / "t.parquet"
    duckdb.sql(f"COPY (SELECT {sql} AS x FROM range(500) AS t(i)) TO '{path}' (FORMAT parquet)")
    with open_table([path]) as table:
        found = schema.infer(profile.of_table(table), tails=schema.tails(table))

    assert validate([path], found, name="t").anomalies == ()


numbers = st.none() | finite
words = st.text(st.characters(codec="utf-8"), max_size=20)
columns = st.builds(
    ColumnSchema,
    type=st.sampled_from(["INT", "FLOAT", "BYTES", "BOOL", "TIME", "STRUCT"]),
    presence=st.none()
    | st.builds(
        Presence,
        min_fraction=st.none() | st.floats(0, 1),
        min_count=st.none() | st.integers(0, 2**40),
    ),
    int_domain=st.none()
    | st.builds(NumberDomain, min=st.none() | st.integers(-(2**50), 2**50).map(float)),
    float_domain=st.none()
    | st.builds(NumberDomain, min=numbers, max=numbers, disallow_nan=st.booleans()),
    string_domain=st.none()
    | st.builds(
        StringDomain,
        value=st.lists(words, max_size=4),
        min_domain_mass=st.floats(0, 1),
    ),
    time_domain=st.none() | st.builds(TimeDomain, min=st.just("2011-01-01")),
    unique=st.booleans(),
    inferred=st.booleans(),
)
tables = st.builds(
    TableSchema,
    columns=st.dictionaries(words, columns, max_size=4),
    min_examples_count=st.none() | st.integers(0, 100),
    freshness=st.sampled_from([None, "7d", "1.5h"]),
)
PERSONS = """\
# our project
data:   # the tables
  tables:
    t: {path: "t.csv"}
monitor: {window: '7d'}  # a week
"""


def read(text: str) -> TableSchema:
    return declaration.parse(Source("assay.yaml", text)).schema["t"]


def comparable(found: TableSchema) -> object:
    return msgspec.to_builtins(msgspec.convert(schema.plain(found), TableSchema))


@settings(deadline=None, max_examples=40)
@given(tables)
def test_a_schema_comes_back_from_the_file_as_it_was(wanted):
    text = schema_file.updated(PERSONS, "t", wanted, where="assay.yaml")
    assert msgspec.to_builtins(read(text)) == comparable(wanted)
    assert schema_file.updated(text, "t", wanted, where="assay.yaml") == text


@settings(deadline=None, max_examples=40)
@given(tables, tables)
def test_a_second_schema_replaces_the_first_and_leaves_the_rest_of_the_file(first, second):
    text = schema_file.updated(PERSONS, "t", first, where="assay.yaml")
    again = schema_file.updated(text, "t", second, where="assay.yaml")
    assert msgspec.to_builtins(read(again)) == comparable(second)
    for line in PERSONS.splitlines():
        assert line in again


def test_comments_inside_a_schema_stay_where_the_schema_did_not_change():
    text = (
        PERSONS
        + """\
schema:
  t:
    columns:
      age:  # in years
        type: INT
        int_domain: {max: 120, min: 0}  # agreed with the clinic
"""
    )
    age = ColumnSchema(type="INT", int_domain=NumberDomain(min=0, max=120))
    wanted = TableSchema(columns={"age": age, "height": ColumnSchema(type="FLOAT")})
    edited = schema_file.updated(text, "t", wanted, where="assay.yaml")
    assert edited.startswith(text)
    assert edited.removeprefix(text).splitlines() == ["      height:", "        type: FLOAT"]


def test_a_file_of_comments_only_and_none_at_all_can_be_written(tmp_path: Path):
    wanted = TableSchema(columns={"x": ColumnSchema(type="INT")})
    path = tmp_path / "assay.yaml"
    assert schema_file.put(path, "t", wanted)
    assert not schema_file.put(path, "t", wanted)
    path.write_text("# to do\n", encoding="utf-8")
    assert schema_file.put(path, "t", wanted)
    assert path.read_text(encoding="utf-8").startswith("# to do\n")


def test_a_broken_file_stays_as_it_is(tmp_path: Path):
    path = tmp_path / "assay.yaml"
    path.write_text("data: {tables: [\n", encoding="utf-8")
    with pytest.raises(Error):
        schema_file.put(path, "t", TableSchema())
    assert path.read_text(encoding="utf-8") == "data: {tables: [\n"


def test_what_a_person_reviewed_stays_when_the_schema_is_inferred_again():
    mine = ColumnSchema(type="BYTES", string_domain=StringDomain(value=["a"]))
    guess = ColumnSchema(type="INT", inferred=True)
    newer = ColumnSchema(type="FLOAT", inferred=True)
    before = TableSchema(
        columns={"gone": guess, "b": guess, "mine": mine, "mine_too": mine}, freshness="7d"
    )
    found = TableSchema(columns={"a": newer, "b": newer, "mine": newer}, min_examples_count=1)
    assert schema.update(before, found) == TableSchema(
        columns={"b": newer, "mine": mine, "mine_too": mine, "a": newer}, freshness="7d"
    )


def test_the_commands_infer_write_and_show(project: Path):
    write(project / "t.csv", id=range(50), color=["red", "blue"] * 25)
    make.write(
        project, {"assay.yaml": "data:\n  tables:\n    t: {path: t.csv, key: [id]} # ours\n"}
    )
    printed = make.done(project, "schema", "infer", "t")
    assert "ours" not in printed
    assert make.assay(project, "schema", "show", "t").code == 255
    written = make.assay(project, "schema", "infer", "t", "--write")
    assert (written.code, written.out) == (0, "")
    assert written.err == "wrote assay.yaml: schema.t\n"
    assert make.done(project, "schema", "show", "t") == printed
    assert yaml12.load(printed, where="")["schema"]["t"]["columns"]["color"] == {
        "type": "BYTES",
        "presence": {"min_fraction": 1.0, "min_count": 1},
        "string_domain": {"value": ["blue", "red"]},
        "inferred": True,
    }
    assert "# ours" in (project / "assay.yaml").read_text(encoding="utf-8")
    assert "no change in" in make.assay(project, "schema", "infer", "t", "--write").err


def test_a_table_that_is_not_declared_is_inferred_but_not_written(project: Path):
    write(project / "t.csv", id=range(50))
    assert "type: INT" in make.done(project, "schema", "infer", "t.csv")
    shown = make.assay(project, "schema", "infer", "t.csv", "--write")
    assert shown.code == 255
    assert "{path: t.csv}" in shown.err
    assert not (project / "assay.yaml").exists()
