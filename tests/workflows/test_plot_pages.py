"""What is drawn is written as a page, as pictures or as JSON, and nothing is written on errors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import make

SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture
def plotted(project: Path) -> Path:
    make.write(
        project,
        {
            "dvc.yaml": """\
plots:
- logs/a.csv: {x: n, title: A}
- Both: {x: n, y: {logs/a.csv: loss, b.csv: loss}}
- p.svg
- gone.csv
""",
            "logs/a.csv": "n,loss,acc\n1,2,0.5\n2,1,0.6\n",
            "b.csv": "n,loss\n1,3\n2,2\n",
            "p.svg": SVG,
        },
    )
    make.commit(project)
    return project


def test_pictures_have_the_names_of_their_plots_and_the_rest_is_said(plotted):
    pytest.importorskip("vl_convert")
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<svg")):
        shown = make.assay(plotted, "plots", "show", "--format", kind, "-o", f"out {kind}")

        assert shown.code == 0
        names = [f"logs_a.{kind}", f"Both.{kind}", "p.svg"]
        assert shown.out.split("\n")[:-1] == [str(plotted / f"out {kind}" / n) for n in names]
        assert shown.err == "warning: gone.csv: there is no such file\n"
        assert (plotted / f"out {kind}" / names[0]).read_bytes().startswith(start)
        assert (plotted / f"out {kind}" / "p.svg").read_text() == SVG
        assert (plotted / f"out {kind}" / ".gitignore").read_text() == "*\n"


def test_names_that_would_be_one_file_get_a_number(plotted):
    pytest.importorskip("vl_convert")
    make.write(
        plotted,
        {
            "dvc.yaml": "plots: [a/b.csv, a_b.csv, ../x: {x: n, y: {b.csv: loss}}]",
            "a/b.csv": "n\n1\n",
            "a_b.csv": "n\n1\n",
        },
    )
    make.done(plotted, "plots", "show", "--format", "svg")
    names = {path.name for path in (plotted / "dvc_plots").iterdir()} - {".gitignore"}
    assert names == {"a_b.svg", "a_b_2.svg", "x.svg"}


def test_pictures_of_revisions_carry_their_names(plotted):
    pytest.importorskip("vl_convert")
    make.write(plotted, {"p.svg": SVG + "\n"})
    out = make.done(plotted, "plots", "diff", "--format", "svg", "--targets", "p.svg")
    assert [Path(line).name for line in out.splitlines()] == ["HEAD_p.svg", "workspace_p.svg"]


def test_a_plot_that_cannot_be_drawn_as_a_picture_leaves_the_others(plotted):
    pytest.importorskip("vl_convert")
    bad = {"data": {"values": "<DVC_METRIC_DATA>"}, "mark": "no such mark"}
    make.write(
        plotted,
        {
            ".dvc/plots/bad.json": json.dumps(bad),
            "dvc.yaml": "plots: [logs/a.csv, b.csv: {template: bad}]",
        },
    )
    shown = make.assay(plotted, "plots", "show", "--format", "svg")
    assert (shown.code, Path(shown.out.strip()).name) == (0, "logs_a.svg")
    assert "b.csv: the plot cannot be drawn" in shown.err


def test_what_is_given_is_drawn_in_place_of_what_is_declared(plotted):
    spec = json.loads(
        make.done(
            plotted, "plots", "show", "logs/a.csv", "--show-vega", "-x", "loss", "-y", "acc",
            "-t", "scatter", "--title", "Mine", "--x-label", "X", "--y-label", "Y",
        )
    )  # fmt: skip
    assert spec["title"] == "Mine"
    assert spec["mark"]["type"] == "point"
    assert spec["data"]["values"] == [{"loss": 2, "acc": 0.5}, {"loss": 1, "acc": 0.6}]
    assert [spec["encoding"][axis]["title"] for axis in "xy"] == ["X", "Y"]
    spec = json.loads(
        make.done(plotted, "plots", "show", "b.csv", "--show-vega", "--no-header", "-y", "0")
    )
    assert [row["0"] for row in spec["data"]["values"]] == ["n", 1, 2]


def test_split_json_has_anchors_where_the_data_belong(plotted):
    arguments = ("plots", "show", "Both", "--json")
    whole = json.loads(make.done(plotted, *arguments))["data"]["Both"][0]
    parts = json.loads(make.done(plotted, *arguments, "--split"))["data"]["Both"][0]

    anchors = parts["anchor_definitions"]
    assert parts["content"]["data"]["values"] == "<DVC_METRIC_DATA>"
    assert anchors["<DVC_METRIC_DATA>"] == whole["content"]["data"]["values"]
    assert anchors["<DVC_METRIC_TITLE>"] == whole["content"]["title"] == "Both"
    assert parts["revisions"] == whole["revisions"]


def test_a_page_of_ones_own_holds_the_plots_and_what_draws_them(plotted):
    make.write(
        plotted,
        {
            "mine.html": "<html><head>{refresh_tag}{scripts}</head><body>{plot_divs}</body>",
            ".dvc/pages/theirs.html": "<p>theirs</p>{plot_divs}{scripts}",
        },
    )
    make.done(plotted, "plots", "show", "--html-template", "mine.html")
    page = (plotted / "dvc_plots" / "index.html").read_text()
    assert page.startswith("<html><head><style>")
    assert 'class="spec"' in page
    assert "vegaEmbed" in page
    assert "{refresh_tag}" not in page
    assert 'src="http' not in page

    make.done(plotted, "config", "plots.html_template", "pages/theirs.html")
    make.done(plotted, "plots", "show")
    assert (plotted / "dvc_plots" / "index.html").read_text().startswith("<p>theirs</p>")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "--html-template", "b.csv"), 255, "no place for the plots"),
        (("show", "--html-template", "no.html"), 255, "no.html"),
        (("show", "--show-vega"), 2, "0 were named"),
        (("show", "--show-vega", "p.svg", "Both"), 2, "2 were named"),
        (("show", "--show-vega", "--json", "Both"), 2, "choose one"),
        (("show", "--json", "--format", "png"), 2, "choose one"),
        (("show", "--split"), 2, "give both"),
        (("show", "--format", "gif"), 2, "gif"),
        (("show", "--show-vega", "p.svg"), 1, "it is a picture"),
        (("show", "b.csv", "-y", "lss"), 255, "did you mean 'loss'?"),
        (("show", "b.csv", "-t", "scater"), 255, "did you mean 'scatter'?"),
        (("show", "--format", "png", "gone.csv"), 255, "no plot could be drawn"),
        (("templates", "scater"), 255, "did you mean 'scatter'?"),
    ],
)
def test_what_cannot_be_is_an_error_that_writes_nothing(plotted, arguments, code, words):
    before = make.snapshot(plotted)
    shown = make.assay(plotted, "plots", *arguments)
    assert (shown.code, shown.out) == (code, ""), shown
    assert words in shown.err
    assert make.snapshot(plotted) == before


def test_the_page_is_opened_in_the_browser_that_is_set(plotted, tmp_path):
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    done = make.process(plotted, "plots", "show", "--open", env={"BROWSER": os.fspath(browser)})
    assert done.code == 0
    assert seen.read_text() == done.out
