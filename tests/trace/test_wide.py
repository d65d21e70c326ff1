"""Lineages that are wide, deep, circular or of other clients: readable, few selects, an end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from assay.ledger import datasets, logged, models, rows, runs, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Artifact, Code, Data, Metric, Writer
from assay.project import workspace
from assay.project.workspace import Project
from assay.trace import drawing, naming, nodes, things, tree
from assay.trace.tree import Trace
from tests import make

ROOT = "md5:" + "0" * 32


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = make.project(tmp_path_factory.mktemp("wide") / "project")
    make.commit(folder)
    return workspace.find(folder)


@pytest.fixture
def ledger(ledger_where: Path | str) -> Iterator[Ledger]:
    """An open ledger, once as a file and once in PostgreSQL."""
    with open_ledger(ledger_where) as opened:
        yield opened


def oid(number: int) -> str:
    return f"md5:{number:032x}"


def fill(ledger: Ledger, n_runs: int) -> None:
    """Write runs that all read one content, made by a first; each makes one, and a bundle."""
    ids = [f"{number:08d}-0000-7000-8000-000000000000" for number in range(n_runs + 1)]
    plain = {
        "kind": "script", "status": "finished", "experiment_id": 1, "code_commit": "c" * 40,
        "code_is_reproducible": True,
    }  # fmt: skip
    with ledger.write() as connection:
        connection.execute(
            tables.experiment.insert(), {"id": 1, "name": "e", "created": 1, "updated": 1}
        )
        connection.execute(
            tables.run.insert(),
            [{**plain, "id": id_, "name": f"run {n}", "start": n} for n, id_ in enumerate(ids)],
        )
        data = [
            {"run_id": ids[0], "direction": "output", "path": "d.csv", "oid": ROOT, "kind": "out"}
        ]
        edges = []
        for number, id_ in enumerate(ids[1:], 1):
            read = {"run_id": id_, "direction": "input", "path": "d.csv", "oid": ROOT}
            made = {"run_id": id_, "direction": "output", "path": "m", "oid": oid(number)}
            data += [read | {"kind": "dep"}, made | {"kind": "out"}]
            bundle = f"bundle:sha256:{number:064x}"
            edges.append({"source": f"run:{id_}", "relation": "made", "target": bundle, "at": 1})
        connection.execute(tables.run_data.insert(), data)
        connection.execute(tables.edge.insert(), edges)
        connection.execute(
            tables.latest_metric.insert(),
            [
                {"run_id": id_, "key": "loss", "value": 0.5, "is_nan": False, "step": 0, "at": 1}
                for id_ in ids
            ],
        )


def traced(project: Project, ledger: Ledger, thing: Any, **options: Any) -> tuple[Trace, int]:
    """Trace a thing; return with it how many statements that took."""
    asked: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    event.listen(ledger.engine, "before_cursor_execute", count)
    try:
        return tree.trace(project, ledger, thing, **options), len(asked)
    finally:
        event.remove(ledger.engine, "before_cursor_execute", count)


def test_of_many_readers_the_newest_are_shown_and_the_others_counted(
    project: Project, ledger: Ledger
):
    fill(ledger, 1000)
    found, n_selects = traced(project, ledger, things.of_data(ROOT, path="d.csv"))
    assert [node.label.partition("'")[2] for node in found.led_to[:2]] == ["run 991'", "run 992'"]
    assert len(found.led_to) == 11
    assert (found.led_to[-1].label, found.led_to[-1].more) == ("… and 990 more runs", 990)
    text = drawing.text(found)
    assert "\n└─ … and 990 more runs\n" in text
    assert text.endswith("\n(of many, the newest are shown; all of them with --all)")
    assert text.count("\n") < 70
    assert n_selects < 60
    chart = drawing.mermaid(found)
    assert "… and 990 more runs" in chart
    whole = drawing.text(tree.trace(project, ledger, found.thing, most=None))
    assert whole.count("read by run ") == 1000
    assert "more runs" not in whole


def test_ten_thousand_runs_take_as_few_selects_as_ten(project: Project, tmp_path: Path):
    counts = []
    for n_runs in (10, 10_000):
        with open_ledger(tmp_path / f"{n_runs}.db") as ledger:
            fill(ledger, n_runs)
            thing = things.of_data(ROOT, path="d.csv")
            found, n_selects = traced(project, ledger, thing, most=None)
        assert len(found.led_to) == n_runs
        assert found.led_to[-1].children[-1].id == f"bundle:sha256:{n_runs:064x}"
        counts.append(n_selects)
    assert counts[0] == counts[1] < 60


def test_a_thousand_runs_of_a_script_take_as_few_selects_as_twenty(
    project: Project, tmp_path: Path
):
    make.write(project.root, {"s.py": "1\n"})
    code = Code(commit=make.commit(project.root))
    counts = []
    for n_runs in (20, 1000):
        with open_ledger(tmp_path / f"{n_runs}.db") as ledger:
            writer = Writer(ledger)
            with ledger.together():
                for number in range(n_runs):
                    writer.start_run(
                        name=f"r{number}", kind="script", command=f"s.py {number}", directory=".",
                        code=code, at=number,
                    )  # fmt: skip
            thing = naming.find(project, ledger, "s.py", cwd=project.root)
            found, n_selects = traced(project, ledger, thing)
        assert (len(found.led_to), found.led_to[-1].more) == (11, n_runs - 10)
        assert f"script 'r{n_runs - 1}'" in found.led_to[0].label
        counts.append(n_selects)
    assert counts[0] == counts[1] < 40


def test_what_the_machine_was_doing_hides_no_result(project: Project, ledger: Ledger):
    writer = Writer(ledger)
    run = writer.start_run(name="it", kind="script")
    keys = ["loss", *(f"system/{number}" for number in range(20))]
    writer.log_metrics(run, [Metric(key=key, value=0.5, at=1) for key in keys])
    thing = naming.find(project, ledger, run, cwd=project.root)
    assert [n.label for n in tree.trace(project, ledger, thing).led_to] == ["metric loss = 0.5"]
    thing = naming.find(project, ledger, "system/1", cwd=project.root)
    assert tree.trace(project, ledger, thing).came_from[0].id == f"run:{run}"


def chain(ledger: Ledger, length: int, *, closes: bool = False) -> None:
    """Write runs each of which reads what the one before made; the last may make the first.

    Those of a circle began at one moment: what is read later is not what was read before.
    """
    writer = Writer(ledger)
    with ledger.together():
        for number in range(length):
            run = writer.start_run(
                name=f"r{number}", kind="script", at=1 if closes else number + 1
            )
            writer.add_inputs(run, [Data(path=f"f{number}", oid=oid(number))])
            made = 0 if closes and number == length - 1 else number + 1
            writer.add_outputs(run, [Data(path=f"f{made}", oid=oid(made))])
            writer.finish_run(run, status="finished")


def test_a_circle_is_followed_once_round(project: Project, ledger: Ledger):
    chain(ledger, 3, closes=True)
    for thing in (things.of_data(oid(0), path="f0"), things.of_data(oid(2), path="f2")):
        text = drawing.text(tree.trace(project, ledger, thing))
        assert text.count("written by run") <= 4
        assert text.count("read by run") <= 4
        assert "(see above)" in text


def test_a_run_that_read_what_it_wrote_is_not_its_own_source(project: Project, ledger: Ledger):
    writer = Writer(ledger)
    run = writer.start_run(name="same", kind="script")
    writer.add_inputs(run, [Data(path="a", oid=oid(1))])
    writer.add_outputs(run, [Data(path="b", oid=oid(1))])
    found = tree.trace(project, ledger, things.of_data(oid(1), path="b"))
    (node,) = found.came_from
    (read, _code) = node.children
    assert read.label.startswith("a  md5:")
    assert [child.relation for child in read.children] == [""]


def test_a_chain_too_long_to_draw_ends_with_a_thing_of_its_own_trace(
    project: Project, ledger: Ledger
):
    chain(ledger, 200)
    found = tree.trace(project, ledger, things.of_data(oid(0), path="f0"))
    text = drawing.text(found)
    assert text.count("read by run") == nodes.DEEPEST // 2 + 1
    assert text.rstrip().endswith("(has a trace of its own)")
    assert json.loads(make_json(found))["thing"]["id"] == f"data:{oid(0)}"


def make_json(found: Trace) -> bytes:
    import msgspec

    return msgspec.json.encode(found)


def test_deleted_runs_stay_in_a_lineage_and_say_so(project: Project, ledger: Ledger):
    chain(ledger, 2)
    with ledger.write() as connection:
        connection.execute(tables.run.update().values(deleted=5))
    found = tree.trace(project, ledger, things.of_data(oid(1), path="f1"))
    assert found.came_from[0].label.endswith(": script 'r0', deleted")
    assert found.led_to[0].label.endswith(": script 'r1', deleted")


def test_a_logged_model_of_mlflow_stands_between_its_run_and_its_version(
    project: Project, ledger: Ledger
):
    writer = Writer(ledger)
    made = writer.start_run(name="fit", kind="script", code=Code(commit="a" * 40))
    reads = writer.start_run(name="score", kind="script")
    writer.log_params(made, {"lr": "0.1"})
    writer.log_metrics(made, [Metric(key="loss", value=0.5, at=1)])
    writer.add_artifacts(made, [Artifact(path="plot.png", oid="sha256:" + "1" * 64, size=1)])
    id_, experiment = "m-" + "ab" * 16, runs.get(ledger, made).experiment_id
    with ledger.write() as connection:
        rows.claim_run(connection, made)
        row = {
            "id": id_, "name": "clf", "experiment_id": experiment, "status": "ready",
            "run_id": made, "created": 1, "updated": 1,
        }  # fmt: skip
        connection.execute(tables.logged_model.insert(), row)
        logged.link(connection, made, "output", [(id_, 0)], at=1)
        logged.link(connection, reads, "input", [(id_, 0)], at=2)
        one = datasets.Dataset(name="wine", digest="f00dcafe", source_type="local", source="w.csv")
        datasets.add(connection, made, [one], at=1)
    version = models.register(ledger, "wines", run=made, model_id=id_)

    found = naming.find(project, ledger, id_, cwd=project.root)
    assert found == naming.find(project, ledger, f"models:/{id_[:12]}", cwd=project.root)
    both = tree.trace(project, ledger, found)
    assert both.thing.label == "model m-abababab 'clf'"
    (run,) = both.came_from
    assert (run.relation, run.id) == ("made by", f"run:{made}")
    assert [(n.relation, n.label) for n in run.children] == [
        ("read", "wine  f00dcafe"), ("with parameters", "lr=0.1"),
        ("code of", f"commit {'a' * 12}"),
    ]  # fmt: skip
    assert [(n.relation, n.label) for n in run.children[0].children] == [
        ("said to be from", "w.csv")
    ]
    assert [(n.relation, n.id) for n in both.led_to] == [
        ("registered as", "version:wines/1"), ("read by", f"run:{reads}"),
    ]  # fmt: skip

    thing = naming.find(project, ledger, version.model, cwd=project.root)
    (above,) = tree.trace(project, ledger, thing).came_from
    assert (above.relation, above.id) == ("registered from", f"logged_model:{id_}")
    thing = naming.find(project, ledger, made, cwd=project.root)
    led_to = tree.trace(project, ledger, thing).led_to
    assert [(n.relation, n.label.partition("  ")[0]) for n in led_to] == [
        ("logged", "metric loss = 0.5"), ("kept", "artifact plot.png"),
        ("made", "model m-abababab 'clf'"),
    ]  # fmt: skip
    thing = things.of_data("f00dcafe", path="wine")
    found_data = tree.trace(project, ledger, thing)
    assert found_data.came_from == []
    assert [n.id for n in found_data.led_to] == [f"run:{made}"]
    thing = naming.find(project, ledger, reads, cwd=project.root)
    assert tree.trace(project, ledger, thing).came_from[0].id == f"logged_model:{id_}"


_LABEL = r'"(?:[^"\[\]{}|;#$<>`*_~\\&\n]|#\d+;)+"'
_CHART = re.compile(rf"flowchart TD\n(?:\t(?:node\d+\[{_LABEL}\]|node\d+-->node\d+)(?:\n|\Z))*")
"""The part of Mermaid's grammar that is used; labels hold nothing that is markup there."""


@given(st.text())
def test_any_label_is_plain_text_in_a_chart(label: str):
    thing = things.Thing(kind="data", id="data:md5:1", label=label)
    chart = drawing.mermaid(Trace(thing=thing, came_from=[], led_to=[]))
    assert _CHART.fullmatch(chart)
    written = chart.partition('["')[2].removesuffix('"]')
    read = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), written)
    plain = " ".join(label.splitlines())
    assert read == ("".join(one if one.isprintable() else " " for one in plain) or "-")


def test_a_name_from_elsewhere_does_not_steer_the_terminal():
    evil = "run 01: script 'a\x1b]0;evil\x07'"
    thing = things.Thing(kind="run", id="run:01", label=evil)
    below = nodes.Node(id="run:02", label=evil, relation="made")
    text = drawing.text(Trace(thing=thing, came_from=[below], led_to=[]))
    assert text.count(r"'a\x1b]0;evil\x07'") == 2
    assert "\x1b" not in text
