"""Conditions in SQL find what the query means."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from assay.ledger import tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.search import runs as searching
from assay.ledger.search.conditions import Conditions
from assay.ledger.search.parser import parse
from assay.ledger.search.runs import RunQuery, count, find
from assay.ledger.search.sources import source
from assay.ledger.search.targets import MLFLOW_RUNS, NANS, NULLS, RUNS
from assay.ledger.search.tree import And, BadQuery, Comparison, Not, Or, Tree
from tests import databases
from tests.ledger.search.meaning import Row, is_true

TEXTS = [
    "", "a", "A", "ab", "a%", "a_c", "[a]", "a*", "a?b", "ä", "Ä", "0.1", "1", "-2.5", "1e3",
    " 3 ",
    "nan", "inf", "0x10", "it's", 'q"q', "back\\slash", "ﬁ", "2026", "True", "line\nline",
]  # fmt: skip
NUMBERS = [0.0, 1.0, -1.0, 0.1, 1e300, math.inf, -math.inf, math.nan, 3.0, 1000.0]
KEYS = ["a", "b c", "x.y", "ü"]

texts, keys = st.sampled_from(TEXTS), st.sampled_from(KEYS)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    end = draw(st.none() | st.integers(0, 5000))
    start = draw(st.integers(0, 3))
    contexts = st.none() | st.sampled_from(["train", "eval"])
    return {
        "run_name": draw(texts),
        "status": draw(st.sampled_from(["running", "finished", "failed"])),
        "user_id": draw(st.none() | texts),
        "stage": draw(st.none() | st.sampled_from(["train", "prepare"])),
        "start_time": start,
        "end_time": end,
        "duration": None if end is None else (end - start) / 1000,
        "metric": draw(st.dictionaries(keys, st.sampled_from(NUMBERS), max_size=2)),
        "param": draw(st.dictionaries(keys, texts, max_size=2)),
        "tag": draw(st.dictionaries(keys, texts, max_size=2)),
        "dataset": [
            {"name": name, "digest": draw(texts), "context": draw(contexts)}
            for name in draw(st.lists(st.sampled_from(["d", "D"]), max_size=2, unique=True))
        ],
    }


def fill(ledger: Ledger, drawn: list[Row]) -> list[str]:
    """Put rows in place of those that are there, and return their ids."""
    ids = [f"{number:032x}" for number in range(len(drawn))]
    with ledger.write() as connection:
        connection.execute(tables.run.delete())
        for run, row in zip(ids, drawn, strict=True):
            put(connection, run, row)
    return ids


def put(connection: Connection, run: str, row: Row) -> None:
    """Write a run."""
    values = {
        "id": run, "name": row["run_name"], "kind": "script", "status": row["status"],
        "experiment_id": 0, "owner": row["user_id"], "stage": row["stage"],
        "start": row["start_time"], "end": row["end_time"],
    }  # fmt: skip
    connection.execute(tables.run.insert(), values)
    of = {"run_id": run}
    for key, value in row["metric"].items():
        is_nan = math.isnan(value)
        point = {"value": 0.0 if is_nan else value, "is_nan": is_nan, "step": 0, "at": 0}
        connection.execute(tables.latest_metric.insert(), {**of, "key": key, **point})
    for key, value in row["param"].items():
        text = {"key": key, "value": value, "type": "str"}
        connection.execute(tables.param.insert(), {**of, **text})
    for key, value in row["tag"].items():
        connection.execute(tables.tag.insert(), {**of, "key": key, "value": value})
    for one in row["dataset"]:
        data = {"path": one["name"], "oid": one["digest"], "context": one["context"]}
        kind = {"direction": "input", "kind": "dataset"}
        connection.execute(tables.run_data.insert(), {**of, **data, **kind})


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    entity = draw(st.sampled_from(["attribute", "metric", "param", "tag", "dataset"]))
    if entity in RUNS.fixed:
        known = {"run_name", "status", "user_id", "stage", "start_time", "end_time", "duration"}
        names = sorted(
            {one.name for one in RUNS.fixed[entity].values()}
            & (known | {"digest", "name", "context"})
        )
        key = draw(st.sampled_from(names))
        field = next(one for one in RUNS.fixed[entity].values() if one.name == key)
    else:
        key, field = draw(keys), RUNS.free[entity]
    operator = draw(st.sampled_from(sorted(field.operators)))
    if operator in NULLS | NANS:
        return Comparison(entity=entity, key=key, operator=operator)  # type: ignore[arg-type]
    numbers = st.sampled_from([0, 1, 3, 0.1, -1.0, 1000, 1e300])
    if operator in {"LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"}:
        value: Any = draw(texts | st.sampled_from(["%", "%a%", "_", "a_%", "%[%", "%*", "%\\%"]))
    else:
        moments = st.integers(0, 5) | st.sampled_from([0.5, 2**62, 1e300])
        of = {"number": numbers, "moment": moments, "any": texts | numbers}
        one = of.get(field.type, texts)
        value = draw(st.lists(one, min_size=1, max_size=3).map(tuple) if "IN" in operator else one)
    return Comparison(entity=entity, key=key, operator=operator, value=value)  # type: ignore[arg-type]


trees: st.SearchStrategy[Tree] = st.recursive(
    comparisons(),
    lambda part: (
        st.builds(Not, part)
        | st.lists(part, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(part, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module", params=databases.KINDS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """A ledger for all examples, once as a file and once in PostgreSQL."""
    where: Path | str = tmp_path_factory.mktemp("search") / "ledger.db"
    if request.param == "postgresql":
        where = request.getfixturevalue("postgres").database()
    with open_ledger(where) as ledger:
        yield ledger


@settings(max_examples=40, deadline=None)
@given(
    drawn=st.lists(rows(), min_size=1, max_size=6), some=st.lists(trees, min_size=1, max_size=6)
)
def test_the_conditions_find_what_the_tree_means(
    filled: Ledger, drawn: list[Row], some: list[Tree]
) -> None:
    ids = fill(filled, drawn)
    of = source("runs", is_open=True)
    with filled.read() as connection:
        for tree in some:
            is_postgres = connection.dialect.name == "postgresql"
            condition = Conditions(of, is_postgres=is_postgres).of(tree)
            query = of.table.select().where(condition).order_by(of.table.c.id)
            found = [row.id for row in connection.execute(query)]
            meant = [run for run, row in zip(ids, drawn, strict=True) if is_true(tree, row)]
            assert found == meant, tree


PATTERNS = ["%", "%a%", "_", "a_%", "%[%", "%*%", "%?b", "%\\%", "[%", "A%", "%ä"]
FIGURES = [0, 1, 3, 0.1, -1.0, 1000, 1e300]
EMPTY: Row = {
    "run_name": "r", "status": "running", "user_id": None, "stage": None, "start_time": 1,
    "end_time": None, "duration": None, "metric": {}, "param": {}, "tag": {}, "dataset": [],
}  # fmt: skip
FIELDS: dict[tuple[str, str], list[Row]] = {
    ("attribute", "user_id"): [EMPTY | {"user_id": text} for text in [*TEXTS, None]],
    ("attribute", "end_time"): [EMPTY | {"end_time": at} for at in (None, 0, 1, 3, 1000)],
    ("param", "a"): [EMPTY | {"param": {"a": text, "b": "a"}} for text in TEXTS],
    ("tag", "a"): [EMPTY | {"tag": {"a": text}} for text in TEXTS],
    ("metric", "a"): [EMPTY | {"metric": {"a": number, "b": 1.0}} for number in NUMBERS],
    ("dataset", "name"): [
        EMPTY | {"dataset": [{"name": text, "digest": "d", "context": None}]} for text in TEXTS
    ],
}


def compared(entity: str, key: str) -> Iterator[Comparison]:
    """Yield comparisons of a field by each of its operators with each value."""
    fixed = {one.name: one for one in RUNS.fixed.get(entity, {}).values()}
    field = fixed.get(key) or RUNS.free[entity]
    numbers: list[Any] = [*FIGURES] if field.type in {"number", "moment", "any"} else []
    words: list[Any] = [*TEXTS] if field.type in {"text", "any"} else []
    for operator in sorted(field.operators):
        values: list[Any] = [None] if operator in NULLS | NANS else [*numbers, *words]
        if "LIKE" in operator:
            values = [*TEXTS, *PATTERNS]
        if "IN" in operator and operator not in NULLS and "LIKE" not in operator:
            values = [(one, (numbers or words)[0]) for one in values]
        for value in values:
            yield Comparison(entity=entity, key=key, operator=operator, value=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("entity", "key"), FIELDS)
def test_each_operator_with_each_value_finds_what_it_means(
    filled: Ledger, entity: str, key: str
) -> None:
    drawn = [*FIELDS[entity, key], EMPTY]
    ids = fill(filled, drawn)
    of = source("runs", is_open=True)
    wrong = []
    with filled.read() as connection:
        conditions = Conditions(of, is_postgres=connection.dialect.name == "postgresql")
        for leaf in compared(entity, key):
            query = select(of.table.c.id).where(conditions.of(leaf)).order_by(of.table.c.id)
            found = list(connection.execute(query).scalars())
            if found != [run for run, row in zip(ids, drawn, strict=True) if is_true(leaf, row)]:
                wrong.append(leaf)
    assert wrong == []


def written(tree: Tree) -> str:
    """Return a text that is read as the tree."""
    match tree:
        case Not(part):
            return f"NOT ({written(part)})"
        case And(parts):
            return " AND ".join(f"({written(part)})" for part in parts)
        case Or(parts):
            return " OR ".join(f"({written(part)})" for part in parts)
        case Comparison():
            field = tree.key if tree.entity == "attribute" else f"{tree.entity}.`{tree.key}`"
            if tree.value is None:
                return f"{field} {tree.operator}"
            if isinstance(tree.value, tuple):
                return f"{field} {tree.operator} ({', '.join(map(_value, tree.value))})"
            return f"{field} {tree.operator} {_value(tree.value)}"


def _value(value: Any) -> str:
    if not isinstance(value, str):
        return repr(value)
    return f'"{value}"' if "'" in value else f"'{value}'"


def _same(tree: Tree) -> Tree:
    """Return a tree in which no AND or OR has a single part."""
    match tree:
        case Not(part):
            return Not(_same(part))
        case And(parts) | Or(parts):
            some = tuple(_same(part) for part in parts)
            return some[0] if len(some) == 1 else type(tree)(some)
        case Comparison():
            return tree


def _can_be_written(tree: Tree) -> bool:
    match tree:
        case Not(part):
            return _can_be_written(part)
        case And(parts) | Or(parts):
            return bool(parts) and all(_can_be_written(part) for part in parts)
        case Comparison():
            values = tree.value if isinstance(tree.value, tuple) else (tree.value,)
            if tree.key == "status" and "LIKE" not in tree.operator:
                return all(
                    one in {"running", "finished", "failed"} or one is None for one in values
                )
            return not any(isinstance(one, str) and one.endswith("\\") for one in values)


@given(tree=trees.filter(_can_be_written))
def test_a_query_is_read_as_it_was_meant(tree: Tree) -> None:
    assert parse(written(tree), RUNS) == _same(tree)


@pytest.fixture
def three(ledger: Ledger) -> Ledger:
    """Three runs: one with all, one with not-a-number, one with nothing."""
    empty: Row = {
        "run_name": "c", "status": "running", "user_id": None, "stage": None, "start_time": 1,
        "end_time": None, "metric": {}, "param": {}, "tag": {}, "dataset": [],
    }  # fmt: skip
    whole = empty | {"metric": {"a": 0.5}, "param": {"lr": "0.10"}, "end_time": 9}
    fill(ledger, [whole, empty | {"metric": {"a": math.nan}, "param": {"lr": "auto"}}, empty])
    return ledger


def numbers_of(ledger: Ledger, text: str, *orders: str, **options: Any) -> list[int]:
    query = RunQuery(filter=text, order_by=orders, **options)
    with ledger.read() as connection:
        return [int(run, 16) for run in find(connection, query, limit=10).ids]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("metrics.a != 1", [0, 1]),
        ("metrics.a > -1", [0]),
        ("NOT metrics.a > 1", [0, 1, 2]),
        ("metrics.a IS NULL", [2]),
        ("params.lr = '0.1'", []),
        ("params.lr = 0.1", [0]),
        ("params.lr != 0.1", [1]),
        ("params.lr > 0", [0]),
        ("params.lr BETWEEN 0 AND 1", [0]),
        ("params.lr NOT BETWEEN 0 AND 1", [1, 2]),
        ("params.lr IN (0.1, 'auto')", [0, 1]),
        ("end_time != 5", [0]),
        ("NOT end_time = 5", [0, 1, 2]),
        ("duration < 1", [0]),
        ("lifecycle = 'active' AND experiment = 'Default'", [0, 1, 2]),
        ("tags.`mlflow.runName` = 'c' AND tags.mlflow.user IS NULL", [0, 1, 2]),
        ("status = 'RUNNING'", [0, 1, 2]),
        ("", [0, 1, 2]),
    ],
)
def test_our_dialect_means(three: Ledger, text: str, found: list[int]) -> None:
    assert numbers_of(three, text) == found
    with three.read() as connection:
        assert count(connection, RunQuery(filter=text)) == len(found)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("metrics.a", [0, 1, 2]),
        ("metrics.a DESC", [0, 1, 2]),
        ("params.lr DESC", [1, 0, 2]),
        ("run_id DESC", [2, 1, 0]),
        ("end DESC", [0, 1, 2]),
    ],
)
def test_what_is_missing_comes_last(three: Ledger, order: str, found: list[int]) -> None:
    assert numbers_of(three, "", order) == found


@pytest.mark.parametrize("few", [0, 2000])
def test_the_way_to_the_runs_does_not_matter(
    three: Ledger, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "FEW", few)
    assert numbers_of(three, "metrics.a < 1 AND params.lr IS NOT NULL") == [0]
    assert numbers_of(three, "metrics.a < 1 OR params.lr = 'auto'") == [0, 1]


def test_a_value_with_any_characters_is_a_value(ledger: Ledger) -> None:
    odd = "'; DROP TABLE run; --\x01 \u2028 ü \\ %s :x ?"
    row: Row = {
        "run_name": "c", "status": "running", "user_id": None, "stage": None, "start_time": 1,
        "end_time": None, "metric": {}, "param": {odd: odd}, "tag": {}, "dataset": [],
    }  # fmt: skip
    fill(ledger, [row])
    assert numbers_of(ledger, f'params.`{odd}` = "{odd}"') == [0]
    query = RunQuery(filter=f'params.`{odd}` LIKE "{odd}%"')
    with ledger.read() as connection:
        assert len(find(connection, query, limit=1, target=MLFLOW_RUNS).ids) == 1


def test_a_deleted_run_is_found_where_it_is_asked_for(three: Ledger) -> None:
    with three.write() as connection:
        connection.execute(
            tables.run.update().where(tables.run.c.id == f"{2:032x}"), {"deleted": 5}
        )
    assert numbers_of(three, "") == [0, 1]
    assert numbers_of(three, "", view="deleted") == [2]
    assert numbers_of(three, "lifecycle = 'deleted'") == [2]
    assert numbers_of(three, "lifecycle = 'deleted' OR metrics.a > 0") == [0, 2]


def test_parents_of_matching_children_are_found(three: Ledger) -> None:
    with three.write() as connection:
        part = {"parent_id": f"{2:032x}"}
        connection.execute(tables.run.update().where(tables.run.c.id == f"{0:032x}"), part)
    assert numbers_of(three, "metrics.a > 0", of_children=True) == [2]
    assert numbers_of(three, "metrics.a > 1", of_children=True) == []
    assert numbers_of(three, "", top_level=True) == [1, 2]


def test_a_key_with_every_quote_is_named_in_doubled_backticks(ledger: Ledger) -> None:
    key = "a\"b`c'd``"
    fill(ledger, [EMPTY | {"metric": {key: 1.0}}, EMPTY | {"metric": {key: 2.0}}, EMPTY])
    named = "metrics.`a\"b``c'd`````"
    assert numbers_of(ledger, f"{named} = 1") == [0]
    with ledger.read() as connection:
        ids = find(connection, RunQuery(order_by=(f"{named} DESC",)), limit=None).ids
    assert [int(run, 16) for run in ids] == [1, 0, 2]


def test_what_is_not_a_number_is_asked_for(ledger: Ledger) -> None:
    fill(ledger, [EMPTY | {"metric": {"c": value}} for value in (math.nan, 0.0, 1.0)] + [EMPTY])
    assert numbers_of(ledger, "metrics.c IS NAN") == [0]
    assert numbers_of(ledger, "metrics.c is not nan") == [1, 2]
    assert numbers_of(ledger, "NOT metrics.c IS NAN AND metrics.c < 1") == [1]
    assert numbers_of(ledger, "metrics.c IS NAN OR metrics.c IS NULL") == [0, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics.c = nan", "nan is found where a number is expected.*write IS NAN"),
        ("metrics.c IS nothing", "nothing is found where NULL or NAN is expected"),
        ("params.c IS NAN", "IS NAN does not go with params.c"),
        ("start IS NOT NAN", "IS NOT NAN does not go with start"),
    ],
)
def test_a_wrong_question_for_what_is_not_a_number_is_explained(text: str, message: str) -> None:
    with pytest.raises(BadQuery, match="(?s)" + message):
        parse(text, RUNS)


def test_mlflow_has_no_nan_and_no_doubled_backticks() -> None:
    with pytest.raises(BadQuery, match="NULL is expected"):
        parse("metrics.c IS NAN", MLFLOW_RUNS)
    leaf = parse("metrics.`a``b` = 1", MLFLOW_RUNS)
    assert isinstance(leaf, Comparison)
    assert leaf.key == "a``b"
