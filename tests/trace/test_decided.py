"""Why does this version answer? Its decision, the alert behind it, and what answered before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.ledger import alerts, decisions, deployments, models, runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from assay.project import workspace
from tests import make, stages

FIRST, SECOND, REFUSED = ("sha256:" + letters * 32 for letters in ("aa", "bb", "cc"))


class Loop(msgspec.Struct, frozen=True):
    """A project whose second version was deployed by a decision, and whose third was refused."""

    folder: Path
    first: str  # ids of deployments
    second: str
    performance: str  # ids of alerts
    drift: str
    deployed: str  # ids of decisions
    refused: str
    pipeline: str  # ids of runs
    train: str


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    folder, _ = stages.three_ran(tmp_path_factory.mktemp("loop"))
    make.commit(folder, "ran")
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        return _retrained(ledger, folder)


def _retrained(ledger: Ledger, folder: Path) -> Loop:
    whole = runs.get(ledger, "latest")
    train = next(c for c in whole.children if runs.get(ledger, c).stage == "train")
    models.register(ledger, "m", bundle=FIRST)
    first = deployments.add_deployment(ledger, "e", version="m/1", reason="by hand", at=1_000)
    performance, _ = alerts.raise_alert(
        ledger, "e", monitor="performance", message="the error is 30% above that at the gate",
        window_end=86_400_000, deployment=first.id, at=2_000,
    )  # fmt: skip
    begun = decisions.start(
        ledger, "e", trigger="performance", window_end=86_400_000, alert=performance.id, at=3_000
    )
    assert begun is not None
    Writer(ledger).add_edge(f"run:{train}", "made", f"bundle:{SECOND}")
    models.register(ledger, "m", bundle=SECOND, run=train)
    second = deployments.add_deployment(ledger, "e", version="m/2", at=4_000)
    decisions.update(
        ledger, begun.id, run=whole.id, candidate=SECOND, version="m/2", verdict="pass",
        deployment=second.id, step="deployed",
    )  # fmt: skip
    decisions.finish(ledger, begun.id, outcome="deployed", reason="71.7 to 48.9")
    drift, _ = alerts.raise_alert(
        ledger, "e", monitor="drift", column="temp", message="it drifts", deployment=second.id,
        at=5_000,
    )  # fmt: skip
    again = decisions.start(
        ledger, "e", trigger="drift", window_end=2, alert=drift.id, at=6_000
    )  # fmt: skip
    assert again is not None
    decisions.update(ledger, again.id, candidate=REFUSED, verdict="fail", step="judged")
    decisions.finish(ledger, again.id, outcome="refused", reason="not better\nby 1%")
    return Loop(
        folder, first.id, second.id, performance.id, drift.id, begun.id, again.id, whole.id, train
    )


def trace(loop: Loop, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(make.done(loop.folder, "trace", "--json", name))
    return found


def ids(nodes: list[dict[str, Any]], *, depth: int = 99) -> list[Any]:
    """Return a tree as relations and ids, nested."""
    return [
        (node["relation"], node["id"], *([ids(node["children"], depth=depth - 1)] * (depth > 0)))
        for node in nodes
    ]


def chain(loop: Loop) -> list[Any]:
    """Return how a decision leads up to the deployment that raised its alert."""
    raised: Any = ("raised by", f"deployment:{loop.first}", [])
    return [("triggered by", f"alert:{loop.performance}", [raised])]


@pytest.mark.parametrize("name", ["m@2", "version:m/2"])
def test_a_version_says_which_decision_deployed_it_and_which_alert_was_behind_it(loop, name):
    found = trace(loop, name)

    decided, registered = found["came_from"]
    assert ids([decided]) == [("deployed by", f"decision:{loop.deployed}", chain(loop))]
    assert (registered["relation"], registered["id"]) == ("registered from", f"bundle:{SECOND}")
    (made,) = registered["children"]
    assert made["id"] == f"run:{loop.train}"
    shown = json.dumps(found["came_from"])
    assert shown.count(f'"decision:{loop.deployed}"') == 1
    for words in ("trigger: performance", "verdict: pass", "71.7 to 48.9", "30% above", "by hand"):
        assert words in shown


def test_a_deployment_comes_of_its_decision_and_of_its_version(loop):
    found = trace(loop, f"deployment:{loop.second}")

    decided, answered = found["came_from"]
    assert ids([decided]) == [("decided by", f"decision:{loop.deployed}", chain(loop))]
    assert (answered["relation"], answered["id"]) == ("answered with", "version:m/2")
    assert ids(found["led_to"]) == [
        ("raised", f"alert:{loop.drift}", [
            ("triggered", f"decision:{loop.refused}", [("judged", f"bundle:{REFUSED}", [])]),
        ]),
    ]  # fmt: skip


def test_a_run_that_a_decision_started_comes_of_it(loop):
    for name in (loop.pipeline, "model.txt"):
        found = trace(loop, name)
        nodes = found["came_from"] if name != "model.txt" else found["came_from"][0]["children"]
        started = ("started by", f"decision:{loop.deployed}", chain(loop))
        assert ids(nodes)[0] == started
        assert json.dumps(found["came_from"]).count(f'"decision:{loop.deployed}"') == 1


def test_a_decision_leads_to_its_run_its_bundle_and_its_deployment(loop):
    found = trace(loop, f"decision:{loop.deployed}")

    assert ids(found["came_from"]) == chain(loop)
    led_to = ids(found["led_to"], depth=0)
    assert led_to == [
        ("started", f"run:{loop.pipeline}"),
        ("judged", f"bundle:{SECOND}"),
        ("deployed as", f"deployment:{loop.second}"),
    ]
    shown = json.dumps(found["led_to"][0])
    for words in ("made", "registered as", f"alert:{loop.drift}", f"decision:{loop.refused}"):
        assert words in shown


def test_an_alert_comes_of_what_answered_and_leads_to_its_decision(loop):
    found = trace(loop, f"alert:{loop.performance}")

    (deployment,) = found["came_from"]
    assert deployment["relation"] == "raised by"
    assert ids(deployment["children"], depth=0) == [("answered with", "version:m/1")]
    (decision,) = found["led_to"]
    assert ids([decision], depth=1) == [
        ("triggered", f"decision:{loop.deployed}", [
            ("started", f"run:{loop.pipeline}"), ("judged", f"bundle:{SECOND}"),
            ("deployed as", f"deployment:{loop.second}"),
        ]),
    ]  # fmt: skip
    assert all(node["children"] == [] for node in decision["children"])


def test_a_bundle_that_was_refused_comes_of_the_decision_that_judged_it(loop):
    found = trace(loop, f"bundle:{REFUSED}")

    (judged,) = found["came_from"]
    assert (judged["relation"], judged["id"]) == ("judged by", f"decision:{loop.refused}")
    assert "verdict: fail, refused: not better by 1%" in judged["label"]
    assert found["led_to"] == []


def test_alerts_and_decisions_are_found_by_id_and_by_its_unique_beginning(loop):
    for kind, id_ in (("alert", loop.drift), ("decision", loop.refused)):
        for name in (id_, id_[:-1], f"{kind}:{id_}", f"{kind}:{id_[:-1]}"):
            assert trace(loop, name)["thing"]["id"] == f"{kind}:{id_}"


def test_what_is_the_beginning_of_several_ids_is_not_guessed(loop):
    shown = make.assay(loop.folder, "trace", "0")
    assert shown.code == 255
    assert "'0' is the beginning of several" in shown.err
    shown = make.assay(loop.folder, "trace", "alert:x")
    assert shown.code == 255
    assert "there is no alert 'x'" in shown.err


def test_the_chain_is_drawn_with_lines_and_as_a_flowchart(loop):
    text = make.done(loop.folder, "trace", "m@2")
    lines = text[text.index("came from:") :].splitlines()
    assert lines[1].startswith("├─ deployed by decision ")
    assert lines[2].startswith("│  └─ triggered by alert ")
    assert lines[3].startswith("│     └─ raised by endpoint 'e' with m@1 from ")
    assert lines[3].endswith("(has a trace of its own)")
    chart = make.done(loop.folder, "trace", "--mermaid", "m@2").splitlines()
    assert "(has a trace of its own)" not in "\n".join(chart)
    names = {
        word: line.strip().partition("[")[0]
        for word in ("decision ", "alert ", "endpoint 'e' with m@1 ")
        for line in chart
        if f'["{word}' in line and "drift" not in line
    }
    decision, alert, endpoint = names.values()
    assert {f"\t{alert}-->{decision}", f"\t{endpoint}-->{alert}"} <= set(chart)


def test_what_the_ledger_has_no_more_is_called_unknown(loop):
    with open_ledger(workspace.find(loop.folder).ledger_path) as ledger:
        begun = decisions.start(ledger, "f", trigger="hand", window_end=1, alert="gone")
        assert begun is not None
        decisions.update(ledger, begun.id, run="gone", deployment="gone")
    found = trace(loop, f"decision:{begun.id}")
    labels = [node["label"] for node in (*found["came_from"], *found["led_to"])]
    assert labels == [
        "unknown: there is no alert 'gone'",
        "unknown: there is no run 'gone'",
        "unknown: there is no deployment 'gone'",
    ]
    assert "not finished, came to step 'begun'" in found["thing"]["label"]
