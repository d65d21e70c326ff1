"""What an endpoint is to answer with, in one query."""

from __future__ import annotations

from sqlalchemy import event

from assay.deploy.endpoints import endpoints, live
from assay.ledger import models
from assay.ledger.database import Ledger
from assay.ledger.deployments import add_deployment


def test_what_goes_on_is_found_with_its_bundle(ledger: Ledger):
    for bundle in ("sha256:1", "sha256:2", None):
        models.register(ledger, "bikes", bundle=bundle)
    assert live(ledger, "scores") is None
    add_deployment(ledger, "scores", version="bikes/1")
    second = add_deployment(ledger, "scores", version="bikes/2")
    add_deployment(ledger, "scores", version="bikes/1", share=0.1, replaces=False)
    add_deployment(ledger, "other", version="bikes/3")
    found = live(ledger, "scores")
    assert found is not None
    assert (found.deployment, found.version, found.bundle) == (second.id, 2, "sha256:2")
    assert (found.endpoint, found.model, found.name) == ("scores", "bikes", "bikes/2")
    assert live(ledger, "other") is None  # no bundle: nothing to answer with
    add_deployment(ledger, "scores", version="bikes/1", share=0.1)  # alone: not all requests
    assert live(ledger, "scores") is None
    assert endpoints(ledger) == ["other", "scores"]


def test_a_server_may_ask_often_it_is_one_query(ledger: Ledger):
    models.register(ledger, "bikes", bundle="sha256:1")
    add_deployment(ledger, "scores", version="bikes/1")
    asked: list[str] = []
    event.listen(
        ledger.engine, "before_cursor_execute", lambda *given: asked.append(given[2])
    )  # fmt: skip
    live(ledger, "scores")
    assert [statement.split()[0] for statement in asked if "BEGIN" not in statement] == ["SELECT"]
