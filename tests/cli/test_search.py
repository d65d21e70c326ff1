"""`assay log` and `assay runs search`: what a person sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.cli import run_table
from assay.ledger.database import open_ledger
from assay.ledger.found import FoundRun
from assay.ledger.writer import Metric, Writer
from tests import make


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without a run."""
    return make.project(tmp_path / "project")


@pytest.fixture
def filled(project: Path) -> Path:
    """A project with two scripts, and a pipeline of one stage."""
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        writer = Writer(ledger)
        for number, (lr, rmse) in enumerate(((0.1, 0.5), (0.02, 0.25))):
            run = writer.start_run(name=f"try-{number}", kind="script", at=1000 + number)
            writer.log_params(run, {"lr": lr, "model": "tree"})
            points = {"rmse": rmse, "system/cpu": 0.5}
            writer.log_metrics(
                run, [Metric(key=key, value=value, at=1) for key, value in points.items()]
            )
            writer.finish_run(run, status="finished", at=3000 + number)
        parent = writer.start_run(name="project", kind="pipeline", at=5000)
        child = writer.start_run(name="train", kind="stage", stage="train", parent=parent, at=5001)
        writer.log_params(child, {"lr": 0.3, "model": "tree"})
        writer.log_metrics(child, [Metric(key="rmse", value=0.125, at=1)])
        for run in (child, parent):
            writer.finish_run(run, status="finished", at=9000)
    return project


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line and "The same" not in line]


def test_the_log_shows_what_differs_and_names_what_does_not(filled: Path) -> None:
    text = make.done(filled, "log")
    header, *rows = cells(text)
    assert header == ["run", "name", "age", "took", "lr", "rmse"]
    assert [(row[1], *row[4:]) for row in rows] == [
        ("project", "0.3", "0.125"),
        ("try-1", "0.02", "0.250"),
        ("try-0", "0.1", "0.500"),
    ]
    assert text.splitlines()[-1] == (
        "The same in all: experiment=Default, status=finished, model=tree"
    )


def test_the_log_is_sorted_by_a_metric(filled: Path) -> None:
    for key in ("metrics.rmse", "rmse", "rmse ASC"):
        rows = cells(make.done(filled, "log", "--sort", key))[1:]
        assert [row[1] for row in rows] == ["project", "try-1", "try-0"]
    rows = cells(make.done(filled, "log", "--sort", "params.lr DESC", "--last", "2"))[1:]
    assert [row[1] for row in rows] == ["project", "try-1"]


def test_the_log_has_chosen_columns(filled: Path) -> None:
    text = make.done(filled, "log", "--columns", "name, params.model,metrics.rmse")
    assert cells(text)[:2] == [["name", "model", "rmse"], ["project", "tree", "0.125"]]


def test_columns_are_named_as_their_headings_are(filled: Path) -> None:
    for command in (["log"], ["runs", "search", "kind = 'script'"]):
        shown = make.done(filled, *command, "--columns", "run,name,age,took,rmse,lr")
        assert cells(shown)[0] == ["run", "name", "age", "took", "rmse", "lr"]
    found = make.assay(filled, "log", "--columns", "rmse,agee")
    assert found.code == 255
    assert "agee" in found.err


def test_a_long_parameter_does_not_widen_the_table(filled: Path) -> None:
    with open_ledger(filled / ".assay" / "ledger.db") as ledger:
        writer = Writer(ledger)
        writer.log_params(writer.start_run(name="long", kind="script"), {"note": "x" * 500})
    shown = make.done(filled, "log", "--columns", "name,note")
    assert cells(shown)[1] == ["long", "x" * 39 + "…"]


def test_where_a_hub_is_set_the_own_ledger_is_listed_by_its_folder(filled: Path) -> None:
    make.done(filled, "config", "hub.url", "http://127.0.0.1:9")
    for command in (["log"], ["runs", "list"], ["runs", "search"]):
        assert "the hub does not answer" in make.assay(filled, *command).err
        assert "No run" not in make.done(filled, *command, "--directory", ".")


def test_the_log_is_json_csv_and_markdown(filled: Path) -> None:
    found = json.loads(make.done(filled, "log", "--json"))
    assert [one["metrics.rmse"] for one in found] == [0.125, 0.25, 0.5]
    assert found[1]["params.lr"] == "0.02"
    text = make.done(filled, "log", "--csv", "--columns", "run_name,metrics.rmse")
    assert text == "run_name,metrics.rmse\nproject,0.125\ntry-1,0.25\ntry-0,0.5\n"
    text = make.done(filled, "log", "--md", "--columns", "run_name,metrics.rmse")
    assert text.splitlines()[2] == "| project | 0.125 |"


def test_the_log_of_an_experiment_and_of_stages(filled: Path) -> None:
    shown = make.assay(filled, "log", "--experiment", "it's")
    assert (shown.code, shown.out) == (255, "")
    assert 'there is no experiment "it\'s"\n  hint: ' in shown.err
    assert len(cells(make.done(filled, "log", "--experiment", "Default", "--all"))) == 5


def test_a_project_without_runs_has_an_empty_log(project: Path) -> None:
    assert make.done(project, "log") == "No runs yet.\n"
    assert json.loads(make.done(project, "log", "--json")) == []
    assert make.done(project, "runs", "search", "metrics.a > 1") == "No run is like that.\n"
    assert make.done(project, "runs", "search", "--count") == "0\n"
    assert not (project / ".assay" / "ledger.db").exists()


def test_runs_are_found(filled: Path) -> None:
    query = "metrics.rmse < 0.3 AND (params.lr > 0.2 OR kind = 'script')"
    rows = cells(make.done(filled, "runs", "search", query, "--columns", "name,kind"))
    assert rows == [["name", "kind"], ["train", "stage"], ["try-1", "script"]]
    order = ("--order-by", "metrics.rmse DESC")
    rows = cells(make.done(filled, "runs", "search", *order, "--columns", "name"))
    assert [row[0] for row in rows] == ["name", "try-0", "try-1", "train", "project"]


def test_runs_are_counted(filled: Path) -> None:
    assert make.done(filled, "runs", "search", "metrics.rmse > 0", "--count") == "3\n"
    text = make.done(filled, "runs", "search", "metrics.rmse > 0", "--count", "--json")
    assert json.loads(text) == {"count": 3}


def test_parents_of_matching_children_are_found(filled: Path) -> None:
    query = ("runs", "search", "stage = 'train'", "--children", "--columns", "name")
    assert cells(make.done(filled, *query)) == [["name"], ["project"]]


def test_what_is_cut_is_said(filled: Path) -> None:
    shown = make.assay(filled, "runs", "search", "--limit", "2", "--columns", "name")
    assert len(cells(shown.out)) == 3
    assert "There are more: the first 2 are shown" in shown.err
    shown = make.assay(filled, "runs", "search", "--limit", "2", "--all", "--columns", "name")
    assert (len(cells(shown.out)), shown.err) == (5, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("runs", "search", "metrics.rmse >> 1"), "at column 14: >> does not go with"),
        (("runs", "search", "--order-by", "rmse"), "at column 1: invalid attribute key 'rmse'"),
        (("runs", "search", "--columns", "rmze"), "at column 1: invalid attribute key 'rmze'"),
        (("runs", "search", "--count", "rmse"), "at column 1: invalid attribute key 'rmse'"),
        (("log", "--sort", "metrics.rmse UP"), "at column 14: UP is found where ASC, DESC"),
        (("log", "--columns", "branch"), "'branch' cannot be a column"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(
    filled: Path, arguments: tuple[str, ...], message: str
) -> None:
    shown = make.assay(filled, *arguments)
    assert shown.code == 255
    assert shown.err.startswith(f"error: {message}")
    assert not shown.out


def test_a_query_is_wrong_where_there_is_no_run_too(project: Path) -> None:
    shown = make.assay(project, "runs", "search", "metrics.rmse >")
    assert (shown.code, shown.out) == (255, "")
    assert shown.err.splitlines()[2].index("^") == len("  metrics.rmse >")


def test_two_forms_are_one_too_many(filled: Path) -> None:
    shown = make.assay(filled, "log", "--json", "--csv")
    assert (shown.code, shown.out) == (2, "")


def found_run(number: int, **metrics: float) -> FoundRun:
    return FoundRun(
        id=f"{number:032x}", name="r", kind="script", status="finished", experiment_id=0,
        experiment="Default", parent=None, stage=None, owner=None, start=0, end=1000, commit=None,
        artifact_uri=None, deleted=None, params={f"p{n}": str(number) for n in range(9)},
        metrics={key: Metric(key=key, value=value, at=0) for key, value in metrics.items()},
        tags={}, datasets=(), models_in=(), models_out=(),
    )  # fmt: skip


def test_parameters_make_room_for_metrics_on_a_narrow_terminal() -> None:
    runs = [found_run(1, acc=0.5), found_run(2, acc=0.25)]
    columns = run_table.columns_of(runs)
    table = run_table.table(runs, columns, now=10_000, width=40)
    assert table.header == ["run", "age", "p0", "p1", "p2", "p3", "acc"]
    assert table.left_out == ["p4", "p5", "p6", "p7", "p8"]
    assert run_table.table(runs, columns, now=10_000).left_out == []


def test_a_key_of_two_parts_has_the_stage_before_it() -> None:
    from msgspec.structs import replace

    first = replace(found_run(1, acc=0.5), stage="train")
    second = replace(found_run(1, acc=0.75), stage="test")
    merged = run_table.with_parts(replace(found_run(0), params={}), [first, second])
    assert {key: one.value for key, one in merged.metrics.items()} == {
        "train.acc": 0.5,
        "test.acc": 0.75,
    }
    assert merged.params["p0"] == "1"
