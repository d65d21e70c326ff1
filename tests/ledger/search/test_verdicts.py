"""What MLflow's grammar takes is taken, what it refuses is refused (specs/mlflow.md, 5)."""

from __future__ import annotations

import pytest

from assay.ledger.search.parser import Order, parse, parse_order
from assay.ledger.search.targets import (
    MLFLOW_EXPERIMENTS,
    MLFLOW_LOGGED_MODELS,
    MLFLOW_MODELS,
    MLFLOW_RUNS,
    MLFLOW_VERSIONS,
    RUNS,
    Target,
)
from assay.ledger.search.tree import And, BadQuery, Comparison, Not, Or, leaves

TAKEN = {
    "runs": [
        "metrics.rmse < 1", "metrics.`val loss` > 1e-3", 'metrics."a.b/c" >= -1',
        "metrics.a.b > 1", "metrics.a > .5", "metrics.1st > 1", "metrics.count > 1",
        "params.lr = '0.1'", 'params.lr = "0.1"', "parameters.x LIKE '%a_'", "params.x ilike 'A%'",
        "params.x IS NULL", "params.x is not null", 'params."my param" = \'x\'', "params.x = ''",
        "params.x = 'it''s'", 'params.x = "it\'s"', "params.select = 'x'",
        "tags.`mlflow.parentRunId` = 'r'", "tags.mlflow.user = 'bob'",
        "tags.x IS NULL AND metrics.a > 1", "tags.数 = 'x'", "tags.a = 'x' AND tags.a != 'y'",
        "status = 'FINISHED'", "status = 'finished'", "attr.run_name ILIKE '%x%'",
        "run_id IN ('a','b')", "attributes.run_id NOT IN ('a')", "start_time > 1700000000000",
        "Created > 5", "attributes.`Run name` = 'x'", "dataset.name = 'd'",
        "datasets.digest IN ('a','b')", "dataset.context = 'train'", "metrics.a > 1 params.b='x'",
        "metrics.a > 1 AND", "params.layers[0] = '8'", "metrics.a>-1", "metrics.a > 1e400",
    ],
    "experiments": [
        "name ilike '%A%' AND tags.x='1'", "experiment_id IN ('1','2')", "tag.k IS NULL",
        "creation_time > 5",
    ],
    "models": ["name IN ('a')", "attribute.name = 'x'", "tags.`k.b` LIKE 'v'"],
    "versions": [
        "name='a' AND version_number > 2", "run_id IN ('a','b')", "source_path LIKE 's3%'",
        "version_number = '1'",
    ],
    "logged_models": [
        "status = 'READY'", "status IN ('PENDING')", "tags.t IN ('x','y')", "params.`p` = '1'",
        "metrics.m > 1", "creation_timestamp > 5", "creation_time > 5", 'name = "a"',
    ],
}  # fmt: skip

REFUSED = {
    "runs": [
        "metrics.a > +1", "metrics.a > '1'", "metrics.a > NaN", "metrics.a == 1",
        "metrics.a <> 1", "metrics.a BETWEEN 1 AND 2", "metrics.a IS NULL", "1 < metrics.a",
        "metrics.a", "metrics.f1@5 > 1", "METRICS.a > 1", "params.lr = 0.1", "params.x > '1'",
        "params.x NOT LIKE 'a'", "params.x IN ('a','b')", "params.my-param = 'x'", "tags.a=b",
        "status IS NULL", "run_id IN ()", "run_id IN (a)", "run_name IN ('a')",
        "experiment_id = '1'", "attributes.start_time > '1'", "lifecycle_stage = 'active'",
        "attributes.foo = 'x'", "dataset.profile = 'x'", "metrics.a > 1 OR params.b = 'x'",
        "(metrics.a > 1)", "NOT metrics.a > 1", "metrics.a > 1; params.b = 'x'",
        "foo.bar = 'x'", "metrics.a > 1 -- c", " ", "params.x = 'open", "metrics.a > 1 /* c */",
        "status = `FINISHED`", "metrics.a > 0x1", "metrics.1 > 1", "run_id IN ('a', 1)",
        "'status' = 'x'", "metrics.a > 1 tags.x IS NULL",
    ],
    "experiments": [
        "name IN ('a')", "name IS NULL", "tags.k IN ('a')", "creation_time > '5'",
        "experiment_id LIKE '0'", "lifecycle_stage='active'", "params.x = '1'",
        "experiment_id = 'x'", "creation_time > 1.5",
    ],
    "models": [
        "attributes.name = 'x'", "description = 'x'", "creation_timestamp > 1", "tags.k IS NULL",
        "name > 'a'", "`name` = 'a'",
    ],
    "versions": [
        "version = '1'", "version_number IN (1,2)", "version_number LIKE '1'",
        "creation_timestamp > 1", "current_stage='x'", "version_number = 'x'",
        "version_number > 1.5",
    ],
    "logged_models": [
        "status = 'LOGGED_MODEL_PENDING'", "param.p='1'", "attribute.name='a'",
        "tags.t IS NULL", "name = 'a' OR name = 'b'", "foo='x'", "metrics.m = 'x'",
    ],
}  # fmt: skip

TARGETS = {
    one.name: one
    for one in (
        MLFLOW_RUNS, MLFLOW_EXPERIMENTS, MLFLOW_MODELS, MLFLOW_VERSIONS, MLFLOW_LOGGED_MODELS,
    )
}  # fmt: skip


def rows(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, text) for name, texts in table.items() for text in texts]


@pytest.mark.parametrize(("target", "text"), rows(TAKEN))
def test_what_mlflow_takes_is_taken(target: str, text: str) -> None:
    assert leaves(parse(text, TARGETS[target]))


@pytest.mark.parametrize(("target", "text"), rows(REFUSED))
def test_what_mlflow_refuses_is_refused_with_the_column(target: str, text: str) -> None:
    with pytest.raises(BadQuery) as raised:
        parse(text, TARGETS[target])
    assert raised.value.what.startswith(f"at column {raised.value.column}: ")
    assert 1 <= raised.value.column <= len(text) + 1


@pytest.mark.parametrize("text", TAKEN["runs"])
def test_our_dialect_takes_what_mlflow_takes(text: str) -> None:
    if text.endswith("AND"):  # there MLflow forgives too much
        with pytest.raises(BadQuery):
            parse(text, RUNS)
    else:
        assert leaves(parse(text, RUNS))


@pytest.mark.parametrize(
    ("text", "entity", "key", "value"),
    [
        ("metrics.a.b > 1", "metric", "a.b", 1),
        ('metrics."a.b/c" >= -1', "metric", "a.b/c", -1),
        ("metrics.`val loss` > 1e-3", "metric", "val loss", 0.001),
        ("parameter.x = 'it''s'", "param", "x", "it''s"),
        ('params.x = "it\'s"', "param", "x", "it's"),
        ("tags.mlflow.user = 'bob'", "tag", "mlflow.user", "bob"),
        ("attributes.`Run name` = 'x'", "attribute", "run_name", "x"),
        ("Created > 5", "attribute", "start_time", 5),
        ("datasets.digest IN ('a','b')", "dataset", "digest", ("a", "b")),
        ("params.layers[0] = '8'", "param", "layers[0]", "8"),
    ],
)
def test_a_comparison_names_its_field_and_value(
    text: str, entity: str, key: str, value: object
) -> None:
    found = parse(text, MLFLOW_RUNS)
    assert isinstance(found, Comparison)
    assert (found.entity, found.key, found.value) == (entity, key, value)


def test_and_binds_closer_than_or_and_not_closest() -> None:
    a, b, c = (
        Comparison(entity="param", key=key, operator="=", value="1") for key in ("a", "b", "c")
    )
    text = "params.a = '1' OR NOT params.b = '1' AND params.c = '1'"
    assert parse(text, RUNS) == Or((a, And((Not(b), c))))
    text = "(params.a = '1' OR params.b = '1') params.c = '1'"
    assert parse(text, RUNS) == And((Or((a, b)), c))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics.a >> 1", "at column 11: >> does not go with metrics.a"),
        ("metrics.a > 1 AND metric.b", "at column 27: the end is found where an operator"),
        ("metrics.a > 1 OR", "at column 17: the end is found where a field"),
        ("(metrics.a > 1", "at column 15: the end is found where ')'"),
        ("metrics.a > 1)", "at column 14: ) is found where AND, OR or the end"),
        ("params.a = 'x", "at column 12: this quote ' is not closed"),
        ("statsu = 'x'", "at column 1: invalid attribute key 'statsu'"),
        ("status = 'done'", "at column 10: invalid status 'done'"),
        ("start > 'soon'", "at column 9: 'soon' is found where a date in quotes"),
        ("metrics.a BETWEEN 1 2", "at column 21: 2 is found where AND and the upper end"),
    ],
)
def test_an_error_of_ours_points_at_the_column(text: str, message: str) -> None:
    with pytest.raises(BadQuery, match="at column") as raised:
        parse(text, RUNS)
    assert raised.value.what.startswith(message)
    line, caret = str(raised.value).splitlines()[1:3]
    assert line.strip() == text
    assert caret.index("^") == raised.value.column + 1


def test_the_nearest_field_is_named() -> None:
    with pytest.raises(BadQuery) as raised:
        parse("statsu = 'x'", RUNS)
    assert raised.value.hint == "did you mean 'status'?"


def test_a_long_query_is_shown_around_the_column() -> None:
    text = " AND ".join(["metrics.loss < 1"] * 30 + ["metrics.loss << 1"])
    with pytest.raises(BadQuery) as raised:
        parse(text, RUNS)
    line, caret = str(raised.value).splitlines()[1:3]
    assert line[caret.index("^")] == "<"
    assert len(line) < 110


@pytest.mark.parametrize("text", ["(" * 60 + "metrics.a > 1" + ")" * 60, "NOT " * 60 + "id = 'x'"])
def test_nesting_has_a_bound(text: str) -> None:
    with pytest.raises(BadQuery, match="more than 50 deep"):
        parse(text, RUNS)


def test_the_number_of_comparisons_has_a_bound() -> None:
    with pytest.raises(BadQuery, match="more than 500 comparisons"):
        parse(" AND ".join(["metrics.a > 1"] * 501), MLFLOW_RUNS)


def test_a_date_is_a_moment() -> None:
    found = parse("start >= '2026-11-21' AND end < '2026-11-21T12:00:00+01:00'", RUNS)
    assert [leaf.value for leaf in leaves(found)] == [1795219200000, 1795258800000]


@pytest.mark.parametrize(
    ("text", "target", "order"),
    [
        ("metrics.`val loss` DESC", MLFLOW_RUNS, ("metric", "val loss", True)),
        ("params.lr", MLFLOW_RUNS, ("param", "lr", False)),
        ("Created asc", MLFLOW_RUNS, ("attribute", "start_time", False)),
        ("creation_time desc", MLFLOW_EXPERIMENTS, ("attribute", "creation_time", True)),
        ("timestamp DESC", MLFLOW_MODELS, ("attribute", "last_updated", True)),
        ("creation_timestamp", MLFLOW_VERSIONS, ("attribute", "created", False)),
        ("duration DESC", RUNS, ("attribute", "duration", True)),
    ],
)
def test_an_order_names_its_key(text: str, target: Target, order: tuple[str, str, bool]) -> None:
    entity, key, is_descending = order
    assert parse_order(text, target) == Order(entity=entity, key=key, is_descending=is_descending)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("metrics.a, metrics.b", MLFLOW_RUNS),
        ("", MLFLOW_RUNS),
        ("metrics.a SIDEWAYS", MLFLOW_RUNS),
        ("metrics.a DESC ASC", MLFLOW_RUNS),
        ("dataset.name", MLFLOW_RUNS),
        ("experiment_id", MLFLOW_RUNS),
        ("tags.x", MLFLOW_EXPERIMENTS),
        ("creation_timestamp", MLFLOW_MODELS),
        ("run_id", MLFLOW_VERSIONS),
    ],
)
def test_an_order_that_mlflow_refuses_is_refused(text: str, target: Target) -> None:
    with pytest.raises(BadQuery, match="at column"):
        parse_order(text, target)
