"""Plots are drawn as declared, from every revision asked for; what cannot be drawn is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import NotFound
from assay.project import workspace
from assay.workflows import plot_pages, plots
from assay.workflows.plots import Plots
from assay.workflows.views import View
from tests import make

SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


def draw(root: Path, *targets: str, revs: tuple[str, ...] = ("workspace",)) -> Plots:
    return plots.draw(views(root, *revs), targets)


def views(root: Path, *revs: str) -> list[View]:
    project = workspace.find(root)
    return [View(project, rev, cwd=root) for rev in revs or ("workspace",)]


def data(result: Plots, name: str) -> list[dict[str, Any]]:
    (drawn,) = [one for one in result.drawn if one.id == name]
    assert drawn.spec is not None
    values: list[dict[str, Any]] = drawn.spec["data"]["values"]
    return values


def problems(result: Plots) -> list[tuple[str, str]]:
    return [(one.id, str(one.error)) for one in result.failed]


def test_outputs_of_stages_and_paths_beside_them_are_drawn_with_their_columns(project):
    make.write(
        project,
        {
            "dvc.yaml": """\
stages:
  train:
    cmd: x
    wdir: sub
    plots: [loss.csv: {x: step, y: loss, title: Loss, cache: false}]
plots:
  - sub/roc.json: {x: fpr, y: tpr, x_label: FP, y_label: TP, template: scatter}
  - last.tsv
  - note.svg
""",
            "sub/loss.csv": "step,loss,time\n0,1.5,3\n1,0.5,4\n",
            "sub/roc.json": '{"deep": {"roc": [{"fpr": 0, "tpr": 1}]}}',
            "last.tsv": "a\tb\n1\t2\n",
            "note.svg": SVG,
        },
    )

    result = draw(project)

    assert [(one.id, one.title) for one in result.drawn] == [
        ("sub/loss.csv", "Loss"),
        ("sub/roc.json", "sub/roc.json"),
        ("last.tsv", "last.tsv"),
        ("note.svg", "note.svg"),
    ]
    assert data(result, "sub/loss.csv") == [{"step": 0, "loss": 1.5}, {"step": 1, "loss": 0.5}]
    assert data(result, "last.tsv") == [{"step": 0, "b": 2}]
    assert result.drawn[3].picture == SVG.encode()
    assert result.failed == []


def test_a_named_plot_joins_files_and_takes_x_from_one_of_them(project):
    make.write(
        project,
        {
            "exp/dvc.yaml": """\
plots:
  - Compare:
      x: {a.csv: n}
      y: {a.csv: loss, b.csv: [loss, acc]}
""",
            "exp/a.csv": "n,loss\n5,1\n6,2\n",
            "exp/b.csv": "loss,acc\n3,30\n4,40\n",
        },
    )

    rows = data(draw(project), "Compare")

    found = {(row["n"], row["value"], row["filename::field"]) for row in rows}
    assert found == {
        (5, 1, "a.csv::loss"),
        (6, 2, "a.csv::loss"),
        (5, 3, "b.csv::loss"),
        (6, 4, "b.csv::loss"),
        (5, 30, "b.csv::acc"),
        (6, 40, "b.csv::acc"),
    }


def test_x_and_y_of_different_length_are_an_error_with_both_counts(project):
    make.write(
        project,
        {
            "dvc.yaml": "plots: [Both: {x: {a.csv: n}, y: {b.csv: loss}}]",
            "a.csv": "n\n1\n2\n",
            "b.csv": "loss\n3\n",
        },
    )
    ((name, error),) = problems(draw(project))
    assert name == "Both"
    assert "2 rows for x" in error
    assert "1 for y" in error


def test_a_folder_is_one_plot_a_file_and_the_nearest_definition_counts(project):
    make.write(
        project,
        {
            "dvc.yaml": "plots: [logs: {x: step}, logs/special.csv: {x: time}]",
            "logs/a.csv": "step,time,loss\n1,10,0.5\n",
            "logs/special.csv": "step,time,loss\n1,10,0.5\n",
        },
    )
    result = draw(project)
    assert data(result, "logs/a.csv") == [{"step": 1, "loss": 0.5}]
    assert data(result, "logs/special.csv") == [{"time": 10, "loss": 0.5}]


def test_a_name_that_is_declared_twice_carries_its_file(project):
    plot = "plots: [Loss: {x: n, y: {a.csv: loss}}]"
    make.write(
        project,
        {
            "dvc.yaml": plot,
            "sub/dvc.yaml": plot,
            "a.csv": "n,loss\n1,2\n",
            "sub/a.csv": "n,loss\n3,4\n",
        },
    )
    assert [one.id for one in draw(project).drawn] == ["dvc.yaml::Loss", "sub/dvc.yaml::Loss"]
    assert len(draw(project, "Loss").drawn) == 2
    assert data(draw(project, "sub/dvc.yaml::Loss"), "sub/dvc.yaml::Loss") == [{"n": 3, "loss": 4}]


def test_revisions_are_told_apart_in_the_order_given(project):
    make.write(project, {"dvc.yaml": "plots: [a.csv: {x: n}]", "a.csv": "n,loss\n1,2\n"})
    make.commit(project)
    make.write(project, {"a.csv": "n,loss\n1,3\n"})

    result = draw(project, revs=("HEAD", "workspace"))

    assert data(result, "a.csv") == [
        {"n": 1, "loss": 2, "rev": "HEAD"},
        {"n": 1, "loss": 3, "rev": "workspace"},
    ]
    assert result.drawn[0].revisions == ("HEAD", "workspace")


def test_a_plot_is_drawn_from_the_revisions_that_declare_it(project):
    make.commit(make.write(project, {"a.csv": "n,loss\n1,2\n"}))
    make.write(project, {"dvc.yaml": "plots: [a.csv]"})

    result = draw(project, revs=("HEAD", "workspace"))

    assert result.drawn[0].revisions == ("workspace",)
    assert result.failed == []


def test_a_picture_is_shown_once_a_revision(project):
    make.commit(make.write(project, {"dvc.yaml": "plots: [p.svg]", "p.svg": SVG}))
    make.write(project, {"p.svg": SVG + "\n"})

    document = plot_pages.document(draw(project, revs=("HEAD", "workspace")), views(project)[0])

    assert [(p["type"], p["revisions"]) for p in document["data"]["p.svg"]] == [
        ("image", ["HEAD"]),
        ("image", ["workspace"]),
    ]
    assert all(
        p["url"].startswith("data:image/svg+xml;base64,") for p in document["data"]["p.svg"]
    )


def test_what_cannot_be_drawn_is_said_beside_what_can(project, tmp_path):
    make.write(
        project,
        {
            "dvc.yaml": """\
plots:
  - good.csv
  - gone.csv
  - bad.json
  - empty.csv
  - model.bin
  - good.csv.tsv: {y: lss}
  - Typo: {x: n, y: {good.csv: loss}, tilte: T}
  - Wrong: {x: 3, y: {good.csv: loss}}
""",
            "good.csv": "n,loss\n1,2\n",
            "good.csv.tsv": "n\tloss\n1\t2\n",
            "bad.json": "{",
            "empty.csv": "n,loss\n",
            "model.bin": "x",
        },
    )

    here = views(project)
    result = plots.draw(here)

    assert [one.id for one in result.drawn] == ["good.csv"]
    said = dict(problems(result))
    assert set(said) == {
        "gone.csv", "bad.json", "empty.csv", "model.bin", "good.csv.tsv", "Typo", "Wrong",
    }  # fmt: skip
    assert said["gone.csv"] == "gone.csv: there is no such file"
    assert "bad.json:1" in said["bad.json"]
    assert "did you mean 'loss'" in said["good.csv.tsv"]
    assert "did you mean 'title'" in said["Typo"]
    assert said["Wrong"].startswith("dvc.yaml: plots.Wrong: ")
    errors = {entry["name"]: entry for entry in plot_pages.document(result, here[0])["errors"]}
    assert errors["gone.csv"] == {
        "name": "gone.csv",
        "rev": "workspace",
        "source": "gone.csv",
        "type": "FileNotFoundError",
        "msg": "gone.csv: there is no such file",
    }
    page = plot_pages.write_page(result, here, folder=tmp_path / "new" / "out").read_text()
    assert "What could not be drawn" in page
    assert "gone.csv: there is no such file" in page


def test_a_column_that_one_revision_lacks_does_not_hide_the_other(project):
    make.commit(
        make.write(project, {"dvc.yaml": "plots: [a.csv: {y: loss}]", "a.csv": "n,lss\n1,2\n"})
    )
    make.write(project, {"a.csv": "n,loss\n1,3\n"})

    result = draw(project, revs=("HEAD", "workspace"))

    assert result.drawn[0].revisions == ("workspace",)
    assert [(one.revision, "'loss'" in str(one.error)) for one in result.failed] == [
        ("HEAD", True)
    ]


def test_a_target_is_a_name_a_path_a_folder_or_any_file(project):
    make.write(
        project,
        {
            "dvc.yaml": "plots: [logs/a.csv, Both: {x: n, y: {b.csv: loss}}]",
            "logs/a.csv": "n,loss\n1,2\n",
            "b.csv": "n,loss\n1,2\n",
            "loose.csv": "n,loss\n1,2\n",
        },
    )

    def names(*targets: str) -> list[str]:
        return [one.id for one in draw(project, *targets).drawn]

    assert names("Both") == ["Both"]
    assert names("b.csv") == ["b.csv"]
    assert names("logs") == ["logs/a.csv"]
    assert names("loose.csv", "./logs/a.csv") == ["loose.csv", "logs/a.csv"]
    with pytest.raises(NotFound, match="Bith") as caught:
        names("Bith")
    assert caught.value.hint == "did you mean 'Both'?"


def test_a_target_whose_definition_is_broken_says_so_and_nothing_else(project):
    make.write(
        project,
        {
            "dvc.yaml": "plots: [a.csv, gone.csv, Typo: {y: {a.csv: loss}, tilte: T}]",
            "a.csv": "n,loss\n1,2\n",
        },
    )
    assert [name for name, _ in problems(draw(project, "Typo"))] == ["Typo"]
    assert problems(draw(project, "a.csv")) == []


def test_a_template_of_the_project_is_used_by_its_name(project):
    template = {
        "mark": "area",
        "data": {"values": "<DVC_METRIC_DATA>"},
        "title": "<DVC_METRIC_TITLE>",
    }
    make.write(
        project,
        {
            ".dvc/plots/mine.json": json.dumps(template),
            "dvc.yaml": "plots: [a.csv: {template: mine, title: T, x: n}, b.csv: {template: lin}]",
            "a.csv": "n,loss\n1,2\n",
            "b.csv": "n,loss\n1,2\n",
        },
    )
    result = draw(project)

    spec = result.drawn[0].spec
    assert spec == {
        "mark": "area",
        "data": {"values": [{"n": 1, "loss": 2, "rev": "workspace"}]},
        "title": "T",
    }
    ((name, error),) = problems(result)
    assert name == "b.csv"
    assert "no plot template 'lin'" in error


def test_a_file_without_a_header_has_numbers_for_columns(project):
    make.write(
        project,
        {
            "dvc.yaml": 'stages: {a: {cmd: x, plots: [a.csv: {header: false, x: "0", y: "1"}]}}',
            "a.csv": "1,2\n3,4\n",
        },
    )
    assert data(draw(project), "a.csv") == [{"0": 1, "1": 2}, {"0": 3, "1": 4}]
