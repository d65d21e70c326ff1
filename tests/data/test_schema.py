"""Schemas: what is inferred, what a person wrote stays, and the file around it too."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.data import profile, schema, schema_file
from assay.data.read import open_table
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
    x = np.random.default_rng(0).normal(10, 2, 5000)
    domain = inferred(tmp_path, x=[*x, 1e9]).columns["x"].float_domain
    assert domain is not None
    low, first, third, high = np.quantile([*x, 1e9], [0.001, 0.25, 0.75, 0.999])
    iqr = third - first
    assert domain.min == pytest.approx(low - 3 * iqr, abs=0.1)
    assert domain.max == pytest.approx(high + 3 * iqr, abs=0.1)
    assert domain.min <= low - 3 * iqr
    assert domain.max >= high + 3 * iqr


def test_columns_without_spread_and_keys_get_no_range(tmp_path: Path):
    found = inferred(
        tmp_path, key=["id"], id=range(100), serial=range(500, 600), zero=[0] * 99 + [7]
    )
    assert [found.columns[name].int_domain for name in ("id", "serial", "zero")] == [None] * 3
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


@given(st.lists(finite, min_size=4, max_size=4).map(sorted))
def test_a_suggested_range_holds_the_quantiles_it_came_from(quantiles):
    ends = schema.suggested_range(quantiles)
    if ends is not None:
        assert ends[0] <= quantiles[0]
        assert quantiles[3] <= ends[1]


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
