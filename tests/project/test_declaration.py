"""What is wrong in `assay.yaml` is said with its line, in words, and with what was meant."""

from __future__ import annotations

import pytest

from assay.project.declaration import Declaration, parse
from assay.project.grammar import Invalid, Source

TABLE = "data: {tables: {t: {path: t.csv}}}\n"
JUDGED = TABLE + "evaluation: {table: t, metrics: [mae], "


def refused(text: str) -> Invalid:
    """Return the error of a text."""
    with pytest.raises(Invalid) as found:
        parse(Source("assay.yaml", text))
    return found.value


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("data: {tables: {t: {path: t, key: loan_id}}}",
         "'data.tables.t.key': expected a list: write [loan_id]"),
        ("monitor: {columns: 7}", "'monitor.columns': expected a list: write [7]"),
        (JUDGED + "baselines: {majority: true}}",
         "'evaluation.baselines.majority': expected a mapping, such as {majority: true}"),
        (JUDGED + "baselines: [majority]}",
         "'evaluation.baselines': expected a mapping, such as {majority: {majority: true}}"),
        ("data: {tables: {t: t.csv}}",
         "'data.tables.t': expected a mapping, such as {path: t.csv}"),
        ("data: {tables: [t]}", "'data.tables': expected a mapping, such as {t: {path: ...}}"),
        ("gate: {metrics: {mae: 0.01}}",
         "'gate.metrics.mae': expected a mapping, such as {max_drop: 0.01}"),
        ("deploy: bikes", "'deploy': expected a mapping, such as {endpoint: bikes}"),
        ("monitor: true", "'monitor': expected a mapping, got 'true'"),
        ("data:", "'data': expected a mapping, got empty"),
        ("- a", "expected a mapping, got a list"),
        (JUDGED + "min_n: '3'}", "'evaluation.min_n': expected a whole number, got '3'"),
        (JUDGED + "min_n: 0}", "'evaluation.min_n': expected a whole number >= 1, got 0"),
        (JUDGED + "blocks: 7}",
         "'evaluation.blocks': expected a duration such as 7d or 12h, got 7"),
        ("retrain: {every: 28x}",
         "'retrain.every': expected a duration such as 7d or 12h, got '28x'"),
        ("tests: {junit: 3}", "'tests.junit': expected text, got 3: write it in quotes"),
        ("data: {tables: {1: {path: a}}}",
         "'data.tables': a key is expected to be text: write it in quotes"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_said_with_what_was_meant(text, what):
    assert refused(text).what == what


@pytest.mark.parametrize(
    ("text", "where", "what", "hint"),
    [
        ("model:\n  name: m\n  task: regresion\n  target: y", "assay.yaml:3",
         "'model.task': expected one of 'regression', 'binary', 'multiclass', got 'regresion'",
         "did you mean 'regression'?"),
        ("model: {name: m, task: 3, target: y}", "assay.yaml:1",
         "'model.task': expected one of 'regression', 'binary', 'multiclass', got 3", None),
        ("retrain: {on: [drft]}", "assay.yaml:1",
         "'retrain.on.0': expected one of 'drift', 'performance', 'data', got 'drft'",
         "did you mean 'drift'?"),
        (TABLE + "schema: {t: {columns: {a: {type: FLAOT}}}}", "assay.yaml:2",
         ("'schema.t.columns.a.type': expected one of 'INT', 'FLOAT', 'BYTES', 'BOOL', 'TIME',"
          " 'STRUCT', got 'FLAOT'"), "did you mean 'FLOAT'?"),
    ],
)  # fmt: skip
def test_a_word_that_is_not_allowed_is_said_with_those_that_are(text, where, what, hint):
    found = refused(text)

    assert (found.where, found.what, found.hint) == (where, what, hint)


@pytest.mark.parametrize(
    "meant",
    [
        "evaluation: {table: t, metrics: [mae], baselines: {majority: {majority: true}}}",
        "gate: {metrics: {mae: {max_drop: 0.01}}}",
        "deploy: {endpoint: bikes}",
        "schema: {t: {columns: {a: {type: BYTES, string_domain: {value: [a, b]}}}}}",
    ],
)
def test_what_is_suggested_is_right(meant):
    assert isinstance(parse(Source("assay.yaml", TABLE + meant)), Declaration)
