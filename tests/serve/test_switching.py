"""Versions change while requests come: none is lost, and each answer is that of one version."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from assay.base.errors import Error
from assay.deploy import endpoints, servers
from assay.ledger import deployments
from tests.bundle import trained
from tests.serve import running, switches

LOAD = [sys.executable, str(Path(__file__).with_name("load.py"))]


@pytest.mark.parametrize(
    ("n_requests", "n_switches"),
    [(2_000, 5), pytest.param(10_000, 20, marks=pytest.mark.slow)],
)
def test_no_request_is_lost_and_no_old_answer_comes_after_a_deploy_returned(
    tmp_path: Path, n_requests: int, n_switches: int
):
    models = running.project(tmp_path, *switches.OFFSETS)
    with running.serving(models.root) as served:
        replies, done = switches.run(
            models, served, LOAD, n_requests=n_requests, n_switches=n_switches
        )
        assert served.metric("assay_predictions_total") == len(replies)
        assert served.end() == 0
    switches.judge(models, replies, done, n_requests=n_requests)


def test_a_server_waits_for_a_deployment_and_is_not_ready_before(tmp_path: Path):
    models = running.project(tmp_path)
    number = models.add()
    with running.serving(models.root, wait=False) as served:
        assert served.ask("GET", "/v2/health/live").json == {"live": True}
        refused = served.ask("GET", "/v2/health/ready")
        assert (refused.status, refused.json) == (
            503,
            {"error": "no version is ready: nothing is deployed to 'rentals'"},
        )
        assert served.predict(running.rows()).status == 503
        assert served.ask("GET", "/v2/models/bikes/ready").status == 503
        done = models.deploy(number)
        assert [server.url for server in done.servers] == [served.url]
        assert served.ask("GET", "/v2/health/ready").json == {"ready": True}
        assert served.ask("GET", "/v2/models/bikes/ready").status == 200


def test_a_server_that_starts_is_not_ready_before_the_golden_examples_are_reproduced(
    tmp_path: Path,
):
    models = running.project(tmp_path, 0.0)
    _damage_golden_examples(models, 1)
    with running.serving(models.root, wait=False) as served:
        _wait_for(models, "failed")
        answered = served.ask("GET", "/v2/health/ready")
        assert answered.status == 503
        assert "golden example" in answered.json["error"]
        assert served.predict(running.rows()).status == 503
        assert served.lives()


def test_a_bundle_that_cannot_start_leaves_the_old_version_answering(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    bad = models.add(offset=1000)
    _damage_golden_examples(models, bad)
    before = running.expected(models.bundles[1])
    with running.serving(models.root) as served:
        with pytest.raises(Error, match="golden"):
            models.deploy(bad)
        with models.ledger() as ledger:  # as somebody on another machine would write it
            deployments.add_deployment(ledger, running.ENDPOINT, version=f"bikes/{bad}")
        problem = _wait_for(models, "failed").problem
        assert problem is not None
        assert "golden" in problem
        answered = served.predict(running.rows())
        assert (answered.json["model_version"], answered.json["predictions"]) == ("1", before)
        assert served.ask("GET", "/v2/health/ready").status == 200
        assert served.metric("assay_load_failures_total") == 1
        models.deploy(1)
        assert _wait_for(models, "ready").problem is None


def test_a_server_tells_by_its_row_that_it_lives_and_takes_it_away(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    with running.serving(models.root) as served:
        server = _wait_for(models, "ready")
        with models.ledger() as ledger:
            live = endpoints.live(ledger, running.ENDPOINT)
        assert live is not None
        assert (server.url, server.pid) == (served.url, served.process.pid)
        assert (server.deployment, server.wanted) == (live.deployment, None)
        assert served.end() == 0
        assert _servers(models) == []


def test_a_server_whose_row_was_taken_away_enters_again(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    with running.serving(models.root) as served:
        with models.ledger() as ledger:
            servers.leave(ledger, _wait_for(models, "ready").id)
        assert _wait_for(models, "ready").url == served.url


def test_another_bundle_may_take_other_columns(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    from sklearn.linear_model import LinearRegression

    hours = trained.table()["hour"]
    model = LinearRegression().fit(hours[:, None], np.asarray(trained.target(trained.table())))
    number = models.add(model=model, X={"hour": hours})
    with running.serving(models.root) as served:
        assert served.predict([{"hour": 3}]).status == 400
        models.deploy(number)
        answered = served.predict([{"hour": 3}])
        assert answered.json["predictions"] == [float(model.predict([[3]])[0])]


def _damage_golden_examples(models: running.Models, number: int) -> None:
    """Register the bundle again with another answer in its golden examples, well hashed."""
    folder = models.root.parent / f"bundle-{number - 1}"
    golden = json.loads((folder / "golden.json").read_bytes())
    golden["outputs"]["predict"][0] += 1
    content = json.dumps(golden, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    trained.rewrite(folder, golden=content)
    from assay.bundle import contents
    from assay.ledger import tables

    found = contents.read_folder(folder)
    contents.keep(found, models.project.objects)
    with models.ledger() as ledger, ledger.write() as connection:
        version = tables.version
        connection.execute(
            version.update().where(version.c.number == number).values(bundle=found.id)
        )


def _servers(models: running.Models) -> list[servers.Server]:
    with models.ledger() as ledger:
        return servers.alive(ledger, running.ENDPOINT, at=time.time_ns() // 1_000_000)


def _wait_for(models: running.Models, state: str) -> servers.Server:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for server in _servers(models):
            if server.state == state:
                return server
        time.sleep(0.05)
    raise AssertionError(f"no server is {state}: {_servers(models)}")
