"""Validation: each anomaly with its share, its rows, and an edit that accepts it."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from assay.data import profile, schema
from assay.data.anomalies import Anomaly, Example, joined, merged, percent
from assay.data.read import open_table
from assay.data.row_checks import validate_rows
from assay.data.validate import Validation, validate
from assay.project.declaration import Declaration, TableSchema
from tests import make


def write(path: Path, **columns) -> Path:
    rows = [",".join(columns)]
    rows += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return path


def expected(**keys: Any) -> TableSchema:
    """Return a schema from what stands in a file; columns by their names."""
    table = {key: keys.pop(key) for key in list(keys) if key in TableSchema.__struct_fields__}
    return msgspec.convert({"columns": keys, **table}, TableSchema)


def checked(path: Path, wanted: TableSchema, **options) -> Validation:
    return validate([path], wanted, name="t", **options)


def the(found: Validation) -> Anomaly:
    """Return the only anomaly."""
    assert len(found.anomalies) == 1, found.anomalies
    return found.anomalies[0]


def accepted(found: Validation, wanted: TableSchema) -> TableSchema:
    """Return the schema with the edits of all anomalies."""
    document = {"data": {"tables": {"t": {"path": "t"}}}, "schema": {"t": schema.plain(wanted)}}
    edited = msgspec.convert(merged(document, joined(found.anomalies)), Declaration)
    return edited.schema["t"]


def check_accepts(path: Path, wanted: TableSchema, found: Validation) -> None:
    assert checked(path, accepted(found, wanted)).anomalies == ()


def test_a_column_that_is_required_and_missing(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=[1, 2])
    wanted = expected(
        a={"type": "INT"},
        b={"type": "INT", "presence": {"min_count": 1}},
        c={"type": "INT"},
    )
    found = checked(path, wanted)
    anomaly = the(found)
    assert (anomaly.type, anomaly.column) == ("SCHEMA_MISSING_COLUMN", "b")
    assert anomaly.description == "Column is completely missing"
    check_accepts(path, wanted, found)


def test_a_new_column(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=[1, 2], color=["red", "red"])
    wanted = expected(a={"type": "INT"})
    found = checked(path, wanted)
    assert (the(found).type, the(found).column) == ("SCHEMA_NEW_COLUMN", "color")
    assert the(found).edit["schema"]["t"]["columns"]["color"]["type"] == "BYTES"
    check_accepts(path, wanted, found)


def renaming(found: Validation) -> dict[str | None, str]:
    """Return what is said of names, by column."""
    return {one.column: one.description.partition(": ")[2] for one in found.anomalies}


def test_a_column_that_may_have_been_renamed_is_asked_about_once(tmp_path: Path):
    colors = ["red", "blue"] * 20
    path = write(tmp_path / "t.csv", a=range(40), LoanAmount=range(40), shade=colors)
    wanted = expected(
        a={"type": "INT"},
        loan_amount={"type": "INT", "presence": {"min_count": 1}},
        color={"type": "BYTES", "string_domain": {"value": ["blue", "red", "teal"]}},
    )
    found = checked(path, wanted)
    assert renaming(found) == {
        "loan_amount": "renamed to 'LoanAmount'?",
        "LoanAmount": "",
        "shade": "'color', renamed?",
    }
    check_accepts(path, wanted, found)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ({"type": "INT", "int_domain": {"min": 0, "max": 100}}, range(40), True),
        ({"type": "INT", "int_domain": {"min": 0, "max": 900}}, range(40), False),
        ({"type": "INT", "int_domain": {"min": 0}}, range(40), False),
        ({"type": "TIME"}, ["2011-01-01", "2011-01-02"] * 20, True),
        ({"type": "BYTES", "string_domain": {"value": ["a"]}}, ["a", "b"] * 20, False),
    ],
)
def test_like_content_is_that_of_the_domain(tmp_path: Path, column, values, said: bool):
    path = write(tmp_path / "t.csv", other=values)
    found = checked(path, expected(xyz={**column, "presence": {"min_count": 1}}))
    assert renaming(found) == {"xyz": "renamed to 'other'?" if said else "", "other": ""}


def test_like_content_that_fits_two_columns_says_nothing(tmp_path: Path):
    path = write(tmp_path / "t.csv", other=range(40), third=range(40))
    column = {"type": "INT", "presence": {"min_count": 1}, "int_domain": {"min": 0, "max": 40}}
    assert set(renaming(checked(path, expected(xyz=column))).values()) == {""}


def test_rows_without_the_target_are_not_accepted_by_an_edit(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=range(4), y=[1, "", "", 2], z=[""] * 4)
    required = {"type": "INT", "presence": {"min_fraction": 1.0}}
    wanted = expected(a={"type": "INT"}, y=required, z=required, w=required)
    for target in ("y", "z", "w"):
        edits = {one.column: one.edit for one in checked(path, wanted, target=target).anomalies}
        assert [name for name, edit in edits.items() if not edit] == [target]


def test_the_declared_target_is_the_one_that_rows_may_not_lack(project: Path):
    write(project / "t.csv", a=range(50))
    make.write(project, {"assay.yaml": TARGET})
    shown = make.assay(project, "validate")
    assert shown.code == 1
    assert "y: Column is completely missing" in shown.out
    assert "to accept" not in shown.out


TARGET = """\
data: {tables: {t: {path: t.csv}}}
model: {name: m, task: binary, target: y}
schema: {t: {columns: {a: {type: INT}, y: {type: INT, presence: {min_count: 1}}}}}
"""


@pytest.mark.parametrize(
    ("type_", "values", "got", "n"),
    [
        ("INT", ["1", "2", "x", "4"] * 10, "STRING", 10),
        ("INT", ["1"] * 39 + ["x"], "STRING in ~2% of the values", 1),
        ("INT", ["1.5", "2"] * 20, "FLOAT", 20),
        ("FLOAT", ["red", "blue"] * 20, "STRING", 40),
        ("BOOL", ["1", "0"] * 20, "INT", 40),
        ("TIME", ["1", "0"] * 20, "INT", 40),
    ],
)
def test_values_of_another_type(tmp_path: Path, type_, values, got, n):
    path = write(tmp_path / "t.csv", a=values)
    wanted = expected(a={"type": type_, "presence": {"min_fraction": 1.0}})
    found = checked(path, wanted)
    anomaly = the(found)
    assert anomaly.type == "UNEXPECTED_DATA_TYPE"
    assert anomaly.description.startswith(f"Expected data of type: {type_} but got {got[:6]}")
    assert (anomaly.n_rows, anomaly.share) == (n, n / len(values))
    check_accepts(path, wanted, found)


def test_numbers_where_texts_are_expected_are_texts_in_csv_and_not_in_parquet(tmp_path: Path):
    wanted = expected(zip={"type": "BYTES", "string_domain": {"value": ["100", "200"]}})
    path = write(tmp_path / "t.csv", zip=[100, 200] * 10)
    assert checked(path, wanted).anomalies == ()
    other = tmp_path / "t.parquet"
    duckdb.sql(f"COPY (SELECT 100 AS zip FROM range(10)) TO '{other}' (FORMAT parquet)")
    anomaly = the(checked(other, wanted))
    assert anomaly.description == "Expected data of type: STRING but got INT."


def test_integers_are_floats_too_and_floats_in_parquet_are_no_integers(tmp_path: Path):
    path = tmp_path / "t.parquet"
    duckdb.sql(
        f"COPY (SELECT 1 AS a, 1.0::DOUBLE AS b FROM range(9)) TO '{path}' (FORMAT parquet)"
    )
    assert checked(path, expected(a={"type": "FLOAT"}, b={"type": "FLOAT"})).valid
    anomaly = the(checked(path, expected(a={"type": "INT"}, b={"type": "INT"})))
    assert (anomaly.column, anomaly.n_rows) == ("b", 9)


def test_texts_with_a_domain_of_numbers_have_to_parse(tmp_path: Path):
    path = write(tmp_path / "t.csv", code=["007", "008", "abc", "900"] * 5)
    wanted = expected(code={"type": "BYTES", "int_domain": {"max": 500}})
    found = checked(path, wanted)
    assert [(one.type, one.n_rows) for one in found.anomalies] == [
        ("INT_TYPE_NOT_INT_STRING", 5),
        ("INT_TYPE_BIG_INT", 5),
    ]
    assert found.anomalies[0].description == (
        'String values that were not integers were found, such as "abc".'
    )


FEWER = "The feature was present in fewer examples than expected"


@pytest.mark.parametrize(
    ("presence", "type_", "text"),
    [
        ({"min_fraction": 1.0}, "FEATURE_TYPE_LOW_FRACTION_PRESENT",
         "The feature was expected everywhere, but was missing in 3 examples."),
        ({"min_fraction": 0.8}, "FEATURE_TYPE_LOW_FRACTION_PRESENT",
         f"{FEWER}: 7 of 10, at least 0.8 of them."),
        ({"min_count": 8}, "FEATURE_TYPE_LOW_NUMBER_PRESENT", f"{FEWER}: 7, at least 8."),
    ],
)  # fmt: skip
def test_missing_values(tmp_path: Path, presence, type_, text):
    path = write(tmp_path / "t.csv", a=[1, "", 2, "", 3, 4, 5, 6, 7, ""], b=range(10))
    wanted = expected(a={"type": "INT", "presence": presence}, b={"type": "INT"})
    found = checked(path, wanted)
    anomaly = the(found)
    assert (anomaly.type, anomaly.description) == (type_, text)
    assert (anomaly.n_rows, anomaly.share) == (3, 0.3)
    assert [one.row for one in anomaly.examples] == [1, 3, 9]
    check_accepts(path, wanted, found)


@pytest.mark.parametrize("fraction", [0.07, 0.29, 0.57, 0.58])
def test_a_share_that_is_just_met_is_met(tmp_path: Path, fraction: float):
    n = round(fraction * 100)
    path = write(tmp_path / "t.csv", a=[1] * n + [""] * (100 - n), b=range(100))
    wanted = expected(a={"type": "INT", "presence": {"min_fraction": fraction}}, b={"type": "INT"})
    assert checked(path, wanted).anomalies == ()


def test_a_column_without_any_value(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=[""] * 5, b=range(5))
    wanted = expected(
        a={"type": "INT", "presence": {"min_count": 1}, "int_domain": {"min": 0}},
        b={"type": "INT"},
    )
    found = checked(path, wanted)
    assert the(found).type == "FEATURE_TYPE_NOT_PRESENT"
    check_accepts(path, wanted, found)


def test_numbers_out_of_their_range_are_counted_and_shown(tmp_path: Path):
    path = write(tmp_path / "t.csv", age=[*range(95), -1, 150, 151, 152, 153])
    wanted = expected(age={"type": "INT", "int_domain": {"min": 0, "max": 120}})
    found = checked(path, wanted)
    low, high = found.anomalies
    assert (low.type, low.n_rows, low.examples) == (
        "INT_TYPE_SMALL_INT",
        1,
        (Example(value="-1", row=95),),
    )
    assert low.description == "Unexpectedly low values: -1<0 (up to six significant digits)."
    assert (high.type, high.n_rows, high.share) == ("INT_TYPE_BIG_INT", 4, 0.04)
    assert [one.row for one in high.examples] == [96, 97, 98]
    assert high.edit == {"schema": {"t": {"columns": {"age": {"int_domain": {"max": 153}}}}}}
    check_accepts(path, wanted, found)


def test_both_ends_of_a_range_belong_to_it(tmp_path: Path):
    path = write(tmp_path / "t.csv", x=[0.5, 1.25, 2.5])
    wanted = expected(x={"type": "FLOAT", "float_domain": {"min": 0.5, "max": 2.5}})
    assert checked(path, wanted).anomalies == ()


def test_nan_and_infinity(tmp_path: Path):
    path = write(tmp_path / "t.csv", x=[0.5, "nan", 1.5, "inf", "-inf", "nan"])
    domain = {"min": 0, "max": 2, "disallow_nan": True, "disallow_inf": True}
    wanted = expected(x={"type": "FLOAT", "float_domain": domain})
    found = checked(path, wanted)
    assert {one.type: (one.n_rows, [e.row for e in one.examples]) for one in found.anomalies} == {
        "FLOAT_TYPE_SMALL_FLOAT": (1, [4]),
        "FLOAT_TYPE_BIG_FLOAT": (1, [3]),
        "FLOAT_TYPE_HAS_NAN": (2, [1, 5]),
        "FLOAT_TYPE_HAS_INF": (2, [3, 4]),
    }
    check_accepts(path, wanted, found)
    allowed = expected(x={"type": "FLOAT", "float_domain": {"max": math.inf}})
    assert checked(path, allowed).anomalies == ()


def test_texts_that_are_not_in_their_domain(tmp_path: Path):
    colors = ["red"] * 960 + ["Blue {}"] * 30 + ["it's"] * 10
    path = write(tmp_path / "t.csv", c=colors)
    wanted = expected(c={"type": "BYTES", "string_domain": {"value": ["red"]}})
    found = checked(path, wanted)
    anomaly = the(found)
    assert anomaly.type == "ENUM_TYPE_UNEXPECTED_STRING_VALUES"
    assert anomaly.description == (
        "Examples contain values missing from the schema: Blue {} (~3%), it's (~1%)."
    )
    assert anomaly.n_rows == 40
    assert anomaly.examples == (Example(value="Blue {}", row=960), Example(value="it's", row=990))
    check_accepts(path, wanted, found)


@pytest.mark.parametrize(("mass", "valid"), [(0.9, True), (0.91, False)])
def test_a_domain_may_be_left_by_a_share_of_the_values(tmp_path: Path, mass: float, valid: bool):
    path = write(tmp_path / "t.csv", c=["red"] * 9 + ["blue"], i=range(10))
    domain = {"value": ["red"], "min_domain_mass": mass}
    wanted = expected(c={"type": "BYTES", "string_domain": domain}, i={"type": "INT"})
    assert checked(path, wanted).valid is valid


def test_more_texts_than_a_profile_lists_are_found(tmp_path: Path):
    known = [f"v{at}" for at in range(300)]
    path = write(tmp_path / "t.csv", c=[*(known * 3), "w"])
    wanted = expected(c={"type": "BYTES", "string_domain": {"value": known}})
    assert the(checked(path, wanted)).n_rows == 1
    path = write(tmp_path / "u.csv", c=known * 3)
    assert checked(path, wanted).anomalies == ()


def test_times_out_of_their_range(tmp_path: Path):
    path = write(tmp_path / "t.csv", day=["1900-01-01", "2011-01-01", "2011-06-01", "9999-12-31"])
    domain = {"min": "2000-01-01", "max": "2020-01-01T12:00"}
    wanted = expected(day={"type": "TIME", "time_domain": domain})
    found = checked(path, wanted)
    assert [(one.type, one.examples[0].row) for one in found.anomalies] == [
        ("TIME_TYPE_EARLY_TIME", 0),
        ("TIME_TYPE_LATE_TIME", 3),
    ]
    check_accepts(path, wanted, found)


def test_values_that_should_be_unique(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=[1, 2, 3, 2, "", "", 3, 3], b=range(8))
    wanted = expected(a={"type": "INT", "unique": True}, b={"type": "INT", "unique": True})
    found = checked(path, wanted)
    anomaly = the(found)
    assert (anomaly.type, anomaly.n_rows) == ("FEATURE_TYPE_LOW_UNIQUE", 3)
    assert anomaly.description == "Expected at least 6 unique values but found only 3."
    assert anomaly.examples == (Example(value="2", row=3), Example(value="3", row=6))
    check_accepts(path, wanted, found)


def test_rows_with_the_key_of_another_row(tmp_path: Path):
    path = write(tmp_path / "t.csv", user=["a", "a", "b", "a"], day=[1, 2, 1, 2])
    wanted = expected(user={"type": "BYTES"}, day={"type": "INT"})
    anomaly = the(checked(path, wanted, key=["user", "day"]))
    assert (anomaly.type, anomaly.n_rows, anomaly.share) == ("KEY_NOT_UNIQUE", 1, 0.25)
    assert anomaly.examples == (Example(value="a, 2", row=3),)
    assert anomaly.edit == {"data": {"tables": {"t": {"key": []}}}}
    assert the(checked(path, wanted, key=["id"])).type == "SCHEMA_MISSING_COLUMN"


def test_too_few_and_too_many_rows(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=range(10))
    few = expected(a={"type": "INT"}, min_examples_count=11)
    many = expected(a={"type": "INT"}, max_examples_count=9)
    assert the(checked(path, few)).type == "DATASET_LOW_NUM_EXAMPLES"
    assert the(checked(path, many)).type == "DATASET_HIGH_NUM_EXAMPLES"
    check_accepts(path, few, checked(path, few))
    check_accepts(path, many, checked(path, many))


@pytest.mark.parametrize("text", ["", "a\n"])
def test_an_empty_table_is_an_anomaly_unless_it_is_allowed(tmp_path: Path, text: str):
    path = tmp_path / "t.csv"
    path.write_text(text)
    wanted = expected(a={"type": "INT", "presence": {"min_count": 1}})
    found = checked(path, wanted)
    assert the(found).description == (
        "The dataset has 0 examples, which is fewer than expected: at least 1."
    )
    check_accepts(path, wanted, found)


NOW = int(dt.datetime(2011, 1, 10, 1, tzinfo=dt.UTC).timestamp() * 1e6)


@pytest.mark.parametrize(("freshness", "valid"), [("8d", True), ("7d", False)])
def test_rows_that_are_too_old(tmp_path: Path, freshness: str, valid: bool):
    path = write(tmp_path / "t.csv", day=["2011-01-01", "2011-01-02T02:00"])
    wanted = expected(day={"type": "TIME"}, freshness=freshness)
    found = checked(path, wanted, time="day", now=NOW)
    assert found.valid is valid
    if not valid:
        assert the(found).description == "The newest row is 8d old, expected at most 7d."
        assert checked(path, accepted(found, wanted), time="day", now=NOW).valid


def test_freshness_that_cannot_be_known_never_passes(tmp_path: Path):
    path = write(tmp_path / "t.csv", day=["2011-01-01"], a=[1])
    wanted = expected(day={"type": "TIME"}, a={"type": "INT"}, freshness="7d")
    for options in ({}, {"time": "day"}, {"now": NOW}, {"time": "a", "now": NOW}):
        assert the(checked(path, wanted, **options)).type == "STATS_NOT_AVAILABLE"


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ({"type": "FLOAT", "int_domain": {"max": 3}}, "DOMAIN_INVALID_FOR_TYPE"),
        ({"type": "INT", "string_domain": {"value": ["a"]}}, "DOMAIN_INVALID_FOR_TYPE"),
        ({"type": "INT", "int_domain": {"min": 3, "max": 1}}, "INVALID_SCHEMA_SPECIFICATION"),
        ({"type": "TIME", "time_domain": {"min": "soon"}}, "INVALID_SCHEMA_SPECIFICATION"),
        (
            {"type": "BYTES", "string_domain": {"value": ["a", "a"]}},
            "INVALID_DOMAIN_SPECIFICATION",
        ),
    ],
)
def test_a_schema_that_cannot_hold_is_an_anomaly(tmp_path: Path, column, type_: str):
    path = write(tmp_path / "t.csv", a=[1, 2, 3])
    assert the(checked(path, expected(a=column))).type == type_


def test_what_was_inferred_only_warns_until_it_is_reviewed(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=[1, 2, 2, 99])
    column = {"type": "INT", "int_domain": {"max": 10}, "unique": True}
    assert not checked(path, expected(a=column)).valid
    found = checked(path, expected(a={**column, "inferred": True}))
    assert found.valid
    assert {one.severity for one in found.anomalies} == {"warning"}


def test_a_valid_table_with_a_profile_is_not_read_again(tmp_path: Path):
    path = write(tmp_path / "t.csv", a=range(50), c=["x", "y"] * 25, f=[0.5] * 50)
    measured = profile.make([path])
    wanted = schema.infer(measured)
    path.unlink()
    assert checked(path, wanted, measured=measured, key=["a"]).anomalies == ()


def test_columns_that_differ_only_in_case_and_odd_names(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text('a,A,"b""c {}"\n1,5,1\n2,6,\n3,7,1\n')
    wanted = expected(**{
        "a": {"type": "INT", "int_domain": {"max": 2}},
        "A": {"type": "INT", "int_domain": {"max": 6}},
        'b"c {}': {"type": "INT", "presence": {"min_fraction": 1.0}},
    })  # fmt: skip
    found = checked(path, wanted)
    assert [(one.column, one.n_rows) for one in found.anomalies] == [
        ("a", 1),
        ("A", 1),
        ('b"c {}', 1),
    ]


CORRUPT = st.sampled_from(
    ["", "x", "-99", "1e6", "nan", "inf", "true", "2011-01-01", "1900-01-01"]
)


@settings(deadline=None, max_examples=40, phases=[Phase.generate])  # to shrink takes minutes
@given(st.data())
def test_the_edits_accept_the_data_whatever_they_are(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    rng = random.Random(data.draw(st.integers(0, 99)))
    good: dict[str, list[Any]] = {
        "i": [rng.randint(0, 99) for _ in range(40)],
        "x": [rng.random() for _ in range(40)],
        "c": [rng.choice(["red", "blue"]) for _ in range(40)],
        "b": [rng.choice(["true", "false"]) for _ in range(40)],
        "d": [f"2011-01-{1 + at % 28:02d}" for at in range(40)],
        "u": list(range(40)),
    }
    first = write(folder / "good.csv", **good)
    with open_table([first]) as table:
        wanted = schema.infer(profile.of_table(table), tails=schema.tails(table))
    bad = {name: list(values) for name, values in good.items()}
    for name in data.draw(st.sets(st.sampled_from([*good]))):
        for at in data.draw(st.lists(st.integers(0, 39), min_size=1, max_size=40)):
            bad[name][at] = data.draw(CORRUPT)
    for name in data.draw(st.sets(st.sampled_from([*good]), max_size=2)):
        bad[f"new_{name}"] = bad.pop(name)
    path = write(folder / "bad.csv", **bad)
    found = checked(path, wanted)
    again = checked(path, accepted(found, wanted))
    assert [one for one in again.anomalies if one.severity == "error"] == []


def test_percents_are_written_as_tfdv_does():
    assert percent(0, 10) == "<1%"
    assert percent(199, 10_000) == "~1%"
    assert percent(29, 100) == "~29%"
    assert percent(1, 0) == "?"


ROWS = expected(
    n={"type": "INT", "presence": {"min_fraction": 1.0}, "int_domain": {"min": 0, "max": 9}},
    x={"type": "FLOAT", "float_domain": {"disallow_nan": True, "disallow_inf": True}},
    c={"type": "BYTES", "string_domain": {"value": ["red", "blue"]}},
    b={"type": "BOOL"},
    t={"type": "TIME", "time_domain": {"min": "2011-01-01"}},
    s={"type": "BYTES", "int_domain": {"max": 9}},
)


@pytest.mark.parametrize(
    "row",
    [
        {"n": 0},
        {"n": 9, "x": 1, "c": "red", "b": True, "t": "2011-01-01T00:00:00Z", "s": "7"},
        {"n": 1, "x": None, "c": None, "b": None, "t": dt.date(2012, 1, 1), "s": None},
    ],
)
def test_rows_that_fit_have_no_anomaly(row):
    assert validate_rows(ROWS, [row]) == []


@pytest.mark.parametrize(
    ("row", "type_"),
    [
        ({}, "SCHEMA_MISSING_COLUMN"),
        ({"n": None}, "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
        ({"n": 1, "z": 1}, "SCHEMA_NEW_COLUMN"),
        ({"n": True}, "UNEXPECTED_DATA_TYPE"),
        ({"n": 1.0}, "UNEXPECTED_DATA_TYPE"),
        ({"n": "1"}, "UNEXPECTED_DATA_TYPE"),
        ({"n": 1, "b": 1}, "UNEXPECTED_DATA_TYPE"),
        ({"n": 1, "t": "soon"}, "UNEXPECTED_DATA_TYPE"),
        ({"n": 1, "c": ["red"]}, "UNEXPECTED_DATA_TYPE"),
        ({"n": -1}, "INT_TYPE_SMALL_INT"),
        ({"n": 10}, "INT_TYPE_BIG_INT"),
        ({"n": 1, "x": math.nan}, "FLOAT_TYPE_HAS_NAN"),
        ({"n": 1, "x": -math.inf}, "FLOAT_TYPE_HAS_INF"),
        ({"n": 1, "c": "teal"}, "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        ({"n": 1, "t": "1999-01-01"}, "TIME_TYPE_EARLY_TIME"),
        ({"n": 1, "s": "x"}, "INT_TYPE_NOT_INT_STRING"),
        ({"n": 1, "s": "10"}, "INT_TYPE_BIG_INT"),
    ],
)
def test_a_row_that_does_not_fit_has_one_anomaly(row, type_: str):
    (anomaly,) = validate_rows(ROWS, [row])
    assert anomaly.type == type_


def test_rows_are_counted_and_the_first_three_shown():
    rows = [{"n": at} for at in range(20)]
    (anomaly,) = validate_rows(ROWS, rows)
    assert (anomaly.n_rows, anomaly.share) == (10, 0.5)
    assert anomaly.examples == tuple(Example(value=str(at), row=at) for at in (10, 11, 12))


def test_rows_may_be_checked_on_the_columns_of_a_signature_only():
    assert validate_rows(ROWS, [{"b": True}], columns=["b"]) == []
    (anomaly,) = validate_rows(ROWS, [{"b": True, "n": 1}], columns=["b"])
    assert (anomaly.type, anomaly.column) == ("SCHEMA_NEW_COLUMN", "n")


def declared(project: Path) -> None:
    write(project / "t.csv", id=range(50), color=["red", "blue"] * 25)
    make.write(project, {"assay.yaml": "data: {tables: {t: {path: t.csv, key: [id]}}}\n"})
    make.done(project, "schema", "infer", "t", "--write")


def test_the_command_exits_with_1_where_data_are_not_valid(project: Path):
    declared(project)
    assert make.done(project, "validate") == "t: 50 rows, valid\n"
    write(project / "t.csv", id=[0, *range(49)], color=["red", "teal"] * 25)
    shown = make.assay(project, "validate", "t")
    assert shown.code == 1
    assert shown.out.startswith("t: 50 rows, 2 errors\n")
    assert "values missing from the schema: teal (~50%). [25 rows, ~50%]" in shown.out
    assert "seen: row 1 'teal'" in shown.out
    assert (
        "to accept, in assay.yaml: schema: {t: {columns: {color: {string_domain:"
        " {value: [blue, red, teal]}}}}}" in shown.out
    )
    document = json.loads(make.assay(project, "validate", "t.csv", "--json").out)
    assert [one["type"] for one in document[0]["anomalies"]] == [
        "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
        "KEY_NOT_UNIQUE",
    ]


def test_the_command_is_a_stage_that_fails_the_pipeline(project: Path):
    declared(project)
    stage = {"cmd": f"{' '.join(make.command('validate'))} && touch ok", "deps": ["t.csv"]}
    make.write(project, {"dvc.yaml": json.dumps({"stages": {"check": {**stage, "outs": ["ok"]}}})})
    assert make.process(project, "repro").code == 0
    write(project / "t.csv", id=range(50), color=["teal"] * 50)
    assert make.process(project, "repro").code != 0


def test_warnings_fail_only_when_asked_to(project: Path):
    declared(project)
    text = (project / "assay.yaml").read_text(encoding="utf-8")
    path = project / "assay.yaml"
    path.write_text(text.replace("color:", "n:\n        type: INT\n        int_domain: {max: 9}\n"
                                 "        inferred: true\n      color:"))  # fmt: skip
    write(project / "t.csv", id=range(50), color=["red", "blue"] * 25, n=[10] * 50)
    assert make.done(project, "validate").startswith("t: 50 rows, 1 warning\n")
    assert make.assay(project, "validate", "--strict").code == 1


def test_a_table_without_a_schema_says_how_to_make_one(project: Path):
    write(project / "t.csv", id=range(5))
    make.write(project, {"assay.yaml": "data: {tables: {t: {path: t.csv}}}\n"})
    for arguments in ((), ("t",), ("t.csv",)):
        shown = make.assay(project, "validate", *arguments)
        assert shown.code == 255
        assert "assay schema infer" in shown.err
    assert make.assay(project, "validate", "t", "--now", "soon").code == 2
