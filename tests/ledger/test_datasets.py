"""Data sets of MLflow's clients: inputs of runs, each once, with limits."""

from __future__ import annotations

import pytest

from assay.base.errors import Error
from assay.ledger import datasets, found, lineage, tables
from assay.ledger.database import Ledger
from assay.ledger.datasets import CONTEXT, Dataset, Summary
from assay.ledger.writer import Data, Writer

WINE = Dataset(
    name="wine", digest="ab12", source_type="code", source="{}", schema="[]", profile='{"n": 1}',
    tags={CONTEXT: "train", "a": "1"},
)  # fmt: skip


def add(ledger: Ledger, run: str, *some: Dataset) -> None:
    with ledger.write() as connection:
        datasets.add(connection, run, some, at=5)


def inputs(ledger: Ledger, run: str) -> list[Data]:
    with ledger.read() as connection:
        return list(found.load(connection, [run])[0].datasets)


def test_a_data_set_is_an_input_with_all_that_was_told(ledger: Ledger, run: str) -> None:
    add(ledger, run, WINE)
    (one,) = inputs(ledger, run)
    assert (one.path, one.oid, one.kind, one.context) == ("wine", "ab12", "dataset", "train")
    assert one.details == {
        "source_type": "code", "source": "{}", "schema": "[]", "profile": '{"n": 1}',
        "tags": {CONTEXT: "train", "a": "1"},
    }  # fmt: skip
    assert lineage.edges_to(ledger, f"run:{run}")[0].source == "data:ab12"


def test_the_same_again_changes_nothing_not_even_its_tags(ledger: Ledger, run: str) -> None:
    other = Dataset(name="wine", digest="ab12", source_type="x", source="y", tags={CONTEXT: "b"})
    add(ledger, run, WINE, other)
    add(ledger, run, other)
    (one,) = inputs(ledger, run)
    assert one.context == "train"


def test_another_digest_is_another_data_set(ledger: Ledger, run: str) -> None:
    add(ledger, run, WINE, Dataset(name="wine", digest="cd", source_type="x", source="y"))
    assert [one.oid for one in inputs(ledger, run)] == ["ab12", "cd"]


@pytest.mark.parametrize(
    ("field", "length"),
    [("name", 501), ("digest", 37), ("source", 65_536), ("schema", 1_048_576)],
)
def test_what_is_too_long_is_refused(ledger: Ledger, run: str, field: str, length: int) -> None:
    fields = {"name": "a", "digest": "b", "source_type": "c", "source": "d"}
    one = Dataset(**fields | {field: "x" * length})  # type: ignore[arg-type] # all are text
    with pytest.raises(Error, match=f"'{field}' exceeds the maximum length of {length - 1}"):
        add(ledger, run, WINE, one)
    assert inputs(ledger, run) == []


@pytest.mark.parametrize("tags", [{"x" * 256: "a"}, {"x": "a" * 501}])
def test_a_tag_that_is_too_long_is_refused(ledger: Ledger, run: str, tags: dict[str, str]) -> None:
    one = Dataset(name="a", digest="b", source_type="c", source="d", tags=tags)
    with pytest.raises(Error, match="of the dataset 'a' exceeds the maximum length"):
        add(ledger, run, one)
    assert inputs(ledger, run) == []


def test_summaries_name_each_data_set_and_context_once(
    ledger: Ledger, writer: Writer, run: str
) -> None:
    other = writer.start_run(name="b", kind="script", experiment="other")
    for one in (run, writer.start_run(name="c", kind="script"), other):
        add(ledger, one, WINE)
    writer.add_inputs(run, [Data(path="data.csv", oid="md5:00")])
    with ledger.read() as connection:
        number = (
            connection.execute(tables.run.select().where(tables.run.c.id == other))
            .one()
            .experiment_id
        )
        found_ = datasets.summaries(connection, [0, number, 99])
    assert found_ == [
        Summary(experiment_id=0, name="data.csv", digest="md5:00", context=None),
        Summary(experiment_id=0, name="wine", digest="ab12", context="train"),
        Summary(experiment_id=number, name="wine", digest="ab12", context="train"),
    ]
