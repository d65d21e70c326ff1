"""What a script logs as a value is a file of its run, and comes back from it."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assay
from assay.base.errors import Error, NotFound
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.sdk import channels, renderings
from tests import make
from tests.databases import SLOW_IN_POSTGRESQL


@pytest.fixture
def ledger(
    project: Path, recorded: str | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    monkeypatch.chdir(project)
    with open_ledger(recorded or project / ".assay" / "ledger.db") as opened:
        yield opened
    channels._channels.clear()


class MatplotlibLike:
    def savefig(self, buffer: Any, *, format: str) -> None:  # noqa: A002 -- as there
        buffer.write(f"drawn as {format}".encode())


class Axes:
    figure = MatplotlibLike()


class PlotlyLike:
    def to_html(self) -> str:
        return "<html/>"

    def to_json(self) -> str:
        return "{}"

    def to_image(self, *, format: str) -> bytes:  # noqa: A002 -- as there
        return f"image {format}".encode()


class PillowLike:
    mode, size = "RGB", (1, 1)

    def save(self, buffer: Any, *, format: str) -> None:  # noqa: A002 -- as there
        buffer.write(f"saved as {format}".encode())


def test_texts_mappings_tables_and_figures_are_files_that_come_back(ledger: Ledger):
    with assay.run() as run:
        assay.log_text("hello ä", "notes/a.txt")
        assay.log_dict({"b": [1, np.float32(0.5)], "a": None}, "conf.json")
        assay.log_dict({"b": [1, 2]}, "conf.yaml")
        assay.log_table({"x": [1, 2], "y": ["a", "b,c"]}, "t.csv")
        assay.log_table([{"x": 1, "y": math.nan}, {"x": 2}], "t.json")
        assay.log_figure(MatplotlibLike(), "plots/roc.png")
        assay.log_figure(Axes(), "plots/axes.svg")
        assay.log_figure(PlotlyLike(), "plots/p.html")
        assay.log_figure(PlotlyLike(), "plots/p.png")
        assay.log_figure(PillowLike(), "image.jpg")

    def text(path: str) -> str:
        file = assay.load(f"runs:/{run.id}/{path}")
        assert isinstance(file, Path)
        return file.read_text()

    assert text("notes/a.txt") == "hello ä"
    assert json.loads(text("conf.json")) == {"b": [1, 0.5], "a": None}
    assert text("conf.yaml") == "b:\n- 1\n- 2\n"
    assert text("t.csv") == 'x,y\n1,a\n2,"b,c"\n'
    assert json.loads(text("t.json")) == {"columns": ["x", "y"], "data": [[1, None], [2, None]]}
    assert text("plots/roc.png") == "drawn as png"
    assert text("plots/axes.svg") == "drawn as svg"
    assert text("plots/p.html") == "<html/>"
    assert text("plots/p.png") == "image png"
    assert text("image.jpg") == "saved as jpeg"
    folder = assay.load(f"runs:/{run.id[:13]}/plots")
    assert sorted(one.name for one in folder.iterdir()) == [
        "axes.svg",
        "p.html",
        "p.png",
        "roc.png",
    ]


@SLOW_IN_POSTGRESQL
def test_a_copy_that_was_changed_comes_back_as_it_was_logged(ledger: Ledger):
    with assay.run() as run:
        assay.log_text("as logged", "a.txt")
    file = assay.load(f"runs:/{run.id}/a.txt")
    file.write_text("changed")
    assert assay.load(f"runs:/{run.id}/a.txt").read_text() == "as logged"


@SLOW_IN_POSTGRESQL
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: assay.log_figure(object(), "a.png"), "an object cannot be drawn as 'png'"),
        (lambda: assay.log_figure(MatplotlibLike(), "a"), "the path 'a' has no ending"),
        (lambda: assay.log_table({"x": [1], "y": []}, "t.csv"), "'x' has 1, 'y' has 0"),
        (lambda: assay.log_table(5, "t.csv"), "an int is no table"),
        (lambda: assay.log_table({"x": [1]}, "t.txt"), "not written as '.txt'"),
        (lambda: assay.log_table({"x": [1]}, "t.parquet"), "does not write Parquet itself"),
        (lambda: assay.log_dict({"x": object()}, "t.json"), "this is no JSON"),
        (lambda: assay.log_text("x", "../a"), "leaves the run's artifacts"),
        (lambda: assay.log_text("x", ""), "names no file"),
        (lambda: assay.log_dataset([1]), "data in memory has no name"),
        (lambda: assay.log_dataset("missing.csv"), "no such file or folder"),
        (lambda: assay.log_dataset("https://x/y.csv"), "https://x/y.csv: this is a URL"),
    ],
)
def test_what_cannot_be_kept_is_an_error_that_changes_nothing(
    ledger: Ledger, call: Any, said: str
):
    with assay.run() as run, pytest.raises(Error, match=r".*" + said.replace(".", r"\.")):
        call()
    found = runs.get(ledger, run.id)
    assert (found.artifacts, found.inputs) == ((), ())


def test_a_dataset_is_known_by_its_content(project: Path, ledger: Ledger):
    make.write(project, {"data/a.csv": "x\n1\n", "data/b.csv": "x\n2\n", "c.csv": "x\n1\n"})
    table = {"x": [1, 2], "y": ["a", None]}
    with assay.run() as run:
        assay.log_dataset("data/a.csv", context="train")
        assay.log_dataset("c.csv", name="same", source="https://example.org/c.csv")
        assay.log_dataset(Path("data"), context="all")
        assay.log_dataset(table, name="table", schema={"x": "int"}, context="eval")
        assay.log_dataset(np.arange(6).reshape(2, 3), name="array")
    found = {one.path: one for one in runs.get(ledger, run.id).inputs}
    assert set(found) == {"data/a.csv", "same", "data", "table", "array"}
    assert {one.kind for one in found.values()} == {"dataset"}
    assert found["same"].oid == found["data/a.csv"].oid
    assert found["data"].oid.endswith(".dir")
    assert found["data"].n_files == 2
    assert (found["data/a.csv"].context, found["table"].context) == ("train", "eval")
    assert (found["same"].details or {})["source"] == "https://example.org/c.csv"
    assert json.loads((found["table"].details or {})["schema"]) == {"x": "int"}
    assert json.loads((found["array"].details or {})["profile"]) == {"shape": [2, 3]}


values = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.text())


@given(st.dictionaries(st.text(), st.lists(values, min_size=3, max_size=3), max_size=3))
def test_a_table_in_json_has_the_values_that_it_was_given(table: dict[str, list[Any]]):
    found = json.loads(renderings.table(table, "t.json"))
    rows = [list(row) for row in zip(*table.values(), strict=True)]
    assert found == {"columns": list(table), "data": rows}


class NaTType:
    """As pandas has it: it equals nothing."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return False

    def __str__(self) -> str:
        return "NaT"


class NAType:
    """As pandas has it: it is neither true nor false."""

    def __bool__(self) -> bool:
        raise TypeError

    def __str__(self) -> str:
        return "<NA>"


def test_missing_values_of_a_table_are_empty_cells_and_null():
    table = {"a": [None, 1], "b": [NaTType(), "x"], "c": [math.nan, 0.5], "d": [NAType(), 7]}
    assert renderings.table(table, "t.csv") == b"a,b,c,d\n,,,\n1,x,0.5,7\n"
    rows = json.loads(renderings.table(table, "t.json"))["data"]
    assert rows == [[None] * 4, [1, "x", 0.5, 7]]


class Colour(str, enum.Enum):  # noqa: UP042 -- its text is another than its value
    RED = "red"


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.bool_(1), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array([7]), [7]),
        (np.array(7), 7),
        ((1, np.int8(2)), [1, 2]),
        (Colour.RED, "red"),
        (collections.OrderedDict(a=np.int64(1)), {"a": 1}),
    ],
)
def test_a_mapping_of_numpys_values_is_the_same_in_json_and_yaml(value: Any, held: Any):
    import yaml

    found = json.loads(renderings.mapping({"v": value}, "a.json"))
    assert found == yaml.safe_load(renderings.mapping({"v": value}, "a.yaml")) == {"v": held}


def test_a_date_is_iso_text_in_json_and_a_date_in_yaml():
    import yaml

    day, moment = dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4)  # noqa: DTZ001
    given = {"day": day, "moment": moment, "cell": np.datetime64("2026-01-02")}
    text = renderings.mapping(given, "a.json")
    assert json.loads(text) == {
        "day": "2026-01-02", "moment": "2026-01-02T03:04:00", "cell": "2026-01-02",
    }  # fmt: skip
    assert yaml.safe_load(renderings.mapping(given, "a.yml")) == given | {"cell": day}


def test_what_a_run_does_not_keep_is_an_error_that_names_what_it_does(ledger: Ledger):
    with assay.run() as run:
        assay.log_text("x", "plots/roc.txt")
    with pytest.raises(NotFound, match=r"keeps nothing at 'plots/ruc\.txt'.*\n.*plots/roc\.txt"):
        assay.load(f"runs:/{run.id}/plots/ruc.txt")
    with pytest.raises(NotFound, match="there is no run 'abc'"):
        assay.load("runs:/abc/plots")
    with pytest.raises(Error, match="names no run"):
        assay.load("runs:/")
    with pytest.raises(NotFound, match="made no bundle"):
        assay.load(f"runs:/{run.id}")
    for bad in ("models:/", "models:/a", "models:/a/b/c", "models:/a@b@c"):
        with pytest.raises(Error, match="write it as models:/MODEL/3"):
            assay.load(bad)
    with pytest.raises(NotFound):
        assay.load("models:/churn/3")


def test_runs_are_found_as_columns(ledger: Ledger):
    for lr in (0.1, 0.2, 0.3):
        with assay.run("train", experiment="churn", params={"lr": lr}):
            assay.log_metric("loss", 1 / lr)
    found = assay.search_runs(
        "metrics.loss < 9 AND params.lr != '0.3'", columns=["params.lr", "metrics.loss"]
    )
    assert dict(found) == {"params.lr": ["0.2"], "metrics.loss": [5.0]}
    assert assay.search_runs(order_by=["metrics.loss"])["params.lr"] == ["0.3", "0.2", "0.1"]
    with pytest.raises(Error, match="column"):
        assay.search_runs("metrics.loss <")
