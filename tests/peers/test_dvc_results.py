"""Graphs, metrics, parameters and plots: what real DVC says of a project, and what we say."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests import make
from tests.peers.dvc_asked import PYTHON, ask

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not PYTHON.exists(), reason="no real DVC; 'make peers' installs it"),
]

DAGS = (
    ("--mermaid",),
    ("--md",),
    ("--dot",),
    ("--mermaid", "--outs"),
    ("--dot", "--outs"),
    ("--mermaid", "s3"),
    ("--dot", "s3"),
    ("--mermaid", "--full", "s3"),
    ("--mermaid", "--outs", "s3"),
    ("--mermaid", "o4/part"),
    ("--mermaid", "sub/dvc.yaml"),
    ("--mermaid", "--collapse-foreach-matrix"),
    ("--mermaid", "--collapse-foreach-matrix", "--full", "s3"),
    ("--mermaid", "s3@a"),
)


def a_graph(folder: Path, seed: int) -> Path:
    """Make a project of stages in two files, in any order, linked at random."""
    chosen = random.Random(seed)
    texts: dict[str, list[str]] = {}
    n_stages = chosen.randint(6, 12)
    for number in chosen.sample(range(n_stages), n_stages):
        needs = [n for n in range(number) if chosen.random() < 0.25]
        names = [f"{'sub/' if n % 4 == 1 else ''}o{n}" for n in needs]
        names += [f"{name}/part" for name in names[:1]] + [f"raw{number}"]
        file, up = ("sub/dvc.yaml", "../") if number % 4 == 1 else ("dvc.yaml", "")
        deps = ", ".join(dict.fromkeys(up + name for name in names))
        line = f"  s{number}: {{cmd: x, deps: [{deps}], outs: [o{number}]}}"
        if number in {3, 5}:  # two stages, and whoever reads the folder reads the outputs of both
            do = f"{{cmd: x, deps: [{deps}], outs: ['o{number}/${{item}}']}}"
            line = f"  s{number}: {{foreach: [a, b], do: {do}}}"
        texts.setdefault(file, ["stages:"]).append(line)
    return make.write(folder, {name: "\n".join(lines) + "\n" for name, lines in texts.items()})


def test_graphs_are_those_of_dvc_to_the_letter(tmp_path):
    folders = [a_graph(make.project(tmp_path / str(seed)), seed) for seed in range(12)]
    asked = [(folder, ("dag", *flags)) for folder in folders for flags in DAGS]
    asked += [(folder / "sub", ("dag", "--mermaid")) for folder in folders]

    for (folder, arguments), theirs in zip(asked, ask(asked), strict=True):
        ours = make.assay(folder, *arguments)
        assert (ours.code == 0) == (theirs.code == 0), (folder, arguments, ours, theirs)
        if ours.code == 0:
            assert ours.out.rstrip() == theirs.out.rstrip(), (folder, arguments)


PIPELINE = """\
vars: [settings.yaml]
stages:
  train:
    cmd: echo ${net.depth}
    params: [lr, other.yaml: [a.b, c, gone], whole.py: ]
    metrics: [m.yaml: {cache: false}, gone.json: {cache: false}]
  each:
    foreach: [a, b]
    do:
      cmd: echo ${item}
      wdir: sub
      params: [own.toml: [k]]
      metrics: ["${item}.json": {cache: false}]
metrics: [top.json, bad.yaml, bad.toml, bad.json, scalar.json, dir, model.py]
params: [extra.toml, more]
"""
BEFORE: dict[str, str | bytes] = {
    "dvc.yaml": PIPELINE,
    "settings.yaml": "net: {depth: 3, wide: 4}\n",
    "params.yaml": "lr: 0.1\nl: [1, 2]\nn: null\ne: {}\nd: {a: 1}\nt: text\n",
    "other.yaml": "a: {b: 1, z: 2}\nc: [1]\n",
    "whole.py": "X = 3\nclass Net:\n    depth = [1, 2]\n",
    "extra.toml": "k = 1\n",
    "more/a.yaml": "one: 1\n",
    "sub/own.toml": "k = 2\nj = 3\n",
    "sub/dvc.yaml": "metrics: [deep.json]\nparams: [../extra.toml]\n",
    "sub/deep.json": '{"deep": 1.5}',
    "sub/a.json": '{"acc": 0.123456789, "n": {"k": 1, "l": [1], "s": "x"}}',
    "sub/b.json": '{"acc": 123456.789, "ok": true}',
    "m.yaml": "f1: 0.123456789\nsame: 1\nok: true\n",
    "top.json": '{"t": 1}',
    "scalar.json": "0.5",
    "model.py": "ACC = 0.5\n",
    "bad.yaml": "a: [\n",
    "bad.toml": "a =\n",
    "bad.json": "{",
    "dir/z.json": '{"z": 1}',
    "dir/y.json": '{"y": {"k": true, "n": null, "e": {}}}',
}
AFTER: dict[str, str | bytes] = {
    "settings.yaml": "net: {depth: 5, wide: 4}\n",
    "params.yaml": "lr: 0.3\nl: [1, 3]\nnew: x\ne: {}\nd: {a: 1.5}\nb: true\nt: word\n",
    "other.yaml": "a: {b: 1, z: 3}\nc: [2]\n",
    "whole.py": "X = 4\nclass Net:\n    depth = [1, 3]\n",
    "more/b.yaml": "two: 2\n",
    "sub/own.toml": "k = 3\nj = 4\n",
    "sub/a.json": '{"acc": 0.2, "n": {"k": 3, "l": [1], "s": "y"}}',
    "m.yaml": "f1: 0.2\nsame: 1\nok: false\n",
    "scalar.json": "0.75",
    "dir/w.json": '{"w": 1}',
}

JSON = (
    ("metrics", "show"),
    ("metrics", "show", "-a"),
    ("metrics", "show", "-T"),
    ("metrics", "show", "-a", "-T"),
    ("metrics", "show", "-A"),
    ("metrics", "show", "-A", "-a", "-T"),
    ("metrics", "show", "top.json", "dir", "-R"),
    ("metrics", "show", "sub/a.json", "-T"),
    ("metrics", "diff"),
    ("metrics", "diff", "--all"),
    ("metrics", "diff", "v1", "other"),
    ("metrics", "diff", "v1", "--targets", "sub/a.json", "m.yaml"),
    ("metrics", "diff", "--targets", "settings.yaml", "--all"),
    ("params", "diff"),
    ("params", "diff", "--all"),
    ("params", "diff", "--deps"),
    ("params", "diff", "--deps", "--all"),
    ("params", "diff", "v1", "other", "--all"),
    ("params", "diff", "--targets", "params.yaml", "whole.py"),
    ("params", "diff", "--targets", "settings.yaml", "--all"),
)
TABLES = (
    ("metrics", "show"),
    ("metrics", "show", "--precision", "2"),
    ("metrics", "show", "-a", "-T"),
    ("metrics", "diff"),
    ("metrics", "diff", "--precision", "1", "--all"),
    ("metrics", "diff", "v1", "other", "--no-path"),
    ("params", "diff"),
    ("params", "diff", "--no-path"),
    ("params", "diff", "v1", "--deps", "--all"),
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """A project with a bit of everything: tags of one commit, branches, a dirty tree."""
    folder = make.project(tmp_path_factory.mktemp("results") / "project")
    make.commit(make.write(folder, BEFORE))
    make.git(folder, "tag", "v1")
    make.git(folder, "tag", "-a", "-m", "the same", "first")
    make.git(folder, "checkout", "-q", "-b", "other")
    make.commit(make.write(folder, {"top.json": '{"t": 2}', "params.yaml": "lr: 7\n"}))
    make.git(folder, "checkout", "-q", "-b", "broken")
    make.commit(make.write(folder, {"dvc.yaml": "metrics: ["}))
    make.git(folder, "checkout", "-q", "main")
    return make.write(folder, AFTER)


def without_words(document: Any) -> Any:
    """Take the wording out of errors: it is ours."""
    if isinstance(document, dict):
        return {k: without_words(v) for k, v in document.items() if k != "msg"}
    return document


def test_metrics_and_params_are_told_in_the_json_of_dvc(measured):
    asked = [(measured, (*one, "--json")) for one in JSON]
    asked += [(measured / "sub", (*one, "--json")) for one in JSON if "--targets" not in one]
    # its `params diff --targets` are relative to the root wherever one is: ours to the person
    asked = [(f, a) for f, a in asked if not {"sub/a.json", "top.json"} & {*a} or f == measured]

    for (folder, arguments), theirs in zip(asked, ask(asked), strict=True):
        assert theirs.code == 0, (folder, arguments, theirs.err)
        ours = json.loads(make.done(folder, *arguments))
        assert without_words(ours) == without_words(json.loads(theirs.out)), (folder, arguments)


def test_tables_have_the_cells_of_dvc(measured):
    asked = [(measured, (*one, *form)) for one in TABLES for form in ((), ("--md",))]

    for (folder, arguments), theirs in zip(asked, ask(asked), strict=True):
        ours = make.done(folder, *arguments)
        assert cells(ours) == cells(theirs.out), arguments


def cells(table: str) -> list[list[str]]:
    """Return the header of a table, then its rows, sorted: DVC's come in any order.

    A file that could not be read has a row without a figure there, and a warning here.
    """
    lines = [
        line for line in table.splitlines() if line.strip() and not re.match(r"\|[ :|-]+$", line)
    ]
    assert lines, table
    if table.startswith("|"):
        rows = [
            [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")]
            for line in lines
        ]
    else:
        rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    rows = [row for row in rows if {*row[2:]} != {"-"}]
    return [rows[0], *sorted([cell.removeprefix("+") for cell in row] for row in rows[1:])]


PLOTS = """\
plots:
- one.json: {x: n, y: loss, title: One, x_label: N}
- Both: {x: {one.json: n}, y: {one.json: loss, two.json: [loss, acc]}, template: mine}
- two.csv: {y: acc}
- pictures
- last.yaml
- gone.json
"""
PLOTTED: dict[str, str | bytes] = {
    "dvc.yaml": PLOTS,
    "one.json": '[{"n": 0, "loss": 2.5, "more": "x"}, {"n": 1, "loss": 1.5, "more": "y"}]',
    "two.json": '{"deep": [{"n": 5, "loss": 3, "acc": 1}, {"n": 6, "loss": 2, "acc": 0}]}',
    "two.csv": "n,acc\n0,1\n1,2\n",
    "last.yaml": "- {a: 1, b: 2}\n- {a: 2, b: 3}\n",
    "pictures/a.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pictures/deep/b.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    ".dvc/plots/mine.json": json.dumps(
        {
            "data": {"values": "<DVC_METRIC_DATA>"},
            "title": "<DVC_METRIC_TITLE>",
            "mark": "line",
            "x": ["<DVC_METRIC_X>", "<DVC_METRIC_X_LABEL>"],
            "y": "<DVC_METRIC_Y_LABEL>",
        }
    ),
}


@pytest.fixture(scope="module")
def plotted(tmp_path_factory) -> Path:
    """A project with plots of every kind, each starting template among its own, and a change."""
    folder = make.project(tmp_path_factory.mktemp("plots") / "project")
    names = make.done(folder, "plots", "templates").split()
    starters = {
        f".dvc/plots/own_{n}.json": make.done(folder, "plots", "templates", n) for n in names
    }
    make.commit(make.write(folder, {**PLOTTED, **starters}))
    make.git(folder, "tag", "v1")
    return make.write(folder, {"one.json": '[{"n": 0, "loss": 2}, {"n": 1, "loss": 1}]'})


def test_templates_are_listed_in_the_order_of_dvc(plotted):
    (theirs,) = ask([(plotted, ("plots", "templates"))])
    assert make.done(plotted, "plots", "templates").split() == [*theirs.out.split(), "bar"]


def test_plots_have_the_names_the_data_and_the_errors_of_dvc(plotted):
    flags = ["-t", "mine"]
    asked = [
        (plotted, ("plots", *one, *flags, "--json"))
        for one in (
            ("show",),
            ("diff",),
            ("diff", "v1", "HEAD", "workspace"),
            ("show", "Both"),  # a path that is declared is drawn twice there
            ("show", "two.json", "-x", "loss", "-y", "n", "--title", "T", "--y-label", "Y"),
            ("diff", "v1", "--targets", "Both", "two.json"),
        )
    ]
    for (_, arguments), theirs in zip(asked, ask(asked), strict=True):
        ours = told(json.loads(make.done(plotted, *arguments)))
        assert ours == told(json.loads(theirs.out)), arguments


def told(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says; cells of CSV are text for DVC, and columns of its own apart."""
    data = {}
    for name, entries in document["data"].items():
        data[name] = sorted(
            [
                entry["type"],
                sorted(entry["revisions"]),
                sorted(map(row_text, entry.get("content", {}).get("data", {}).get("values", []))),
                entry.get("content", {}).get("title"),
            ]
            for entry in entries
        )
    errors = [without_words(entry) for entry in document.get("errors", [])]
    return {
        "data": {name: entries for name, entries in data.items() if entries},
        "errors": sorted(errors, key=lambda entry: (entry["name"], entry["rev"])),
    }


def row_text(row: dict[str, Any]) -> str:
    ours = {"value", "filename::field", "filename", "field"}
    theirs = {"dvc_inferred_y_value"}
    return str(sorted((k, str(v)) for k, v in row.items() if k not in ours | theirs))


def test_real_dvc_draws_the_templates_that_we_print(plotted):
    vl_convert = pytest.importorskip("vl_convert")
    names = make.done(plotted, "plots", "templates").split()
    targets = ("one.json", "--json", "-x", "n", "-y", "loss", "-t")
    asked = [(plotted, ("plots", "diff", "v1", "--targets", *targets, f"own_{n}")) for n in names]

    for (_, arguments), theirs in zip(asked, ask(asked), strict=True):
        for document in (theirs.out, make.done(plotted, *arguments)):
            (entry,) = json.loads(document)["data"]["one.json"]
            assert "<DVC_" not in json.dumps(entry["content"]), arguments
            svg = vl_convert.vegalite_to_svg(entry["content"], allowed_base_urls=[])
            assert svg.count("<path") > 3, arguments
