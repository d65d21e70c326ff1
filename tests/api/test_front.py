"""Who opens the hub's address in a browser sees what it is, and nothing that asks for more."""

from __future__ import annotations

import re
from pathlib import Path

from tests import mlflow
from tests.mlflow import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def counted(hub: Server) -> dict[str, int]:
    page = hub.ask("GET", "/", headers=BROWSER).body.decode()
    rows = re.findall(r"<th>([a-z ]+)</th><td>([0-9,]+)</td>", page)
    return {name: int(number.replace(",", "")) for name, number in rows}


def test_a_browser_gets_one_page_that_loads_nothing(hub: Server) -> None:
    found = hub.ask("GET", "/", headers=BROWSER)
    page = found.body.decode()
    assert found.status == 200
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    policy = found.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert re.search(r"<script|<link|<img|<iframe|\bsrc=|url\(|@import|\bon\w+=", page) is None
    assert set(re.findall(r'href="([^"]*)"', page)) == {"/health", "/metrics"}
    assert f"export MLFLOW_TRACKING_URI={hub.url}\n" in page
    assert f"assay config hub.url {hub.url}<" in page
    assert "assay runs show ID" in page
    for path in ("/health", "/metrics"):
        assert hub.ask("GET", path).status == 200


def test_a_terminal_gets_text(hub: Server) -> None:
    found = hub.ask("GET", "/", headers={"Accept": "*/*"})
    assert found.headers["content-type"] == "text/plain; charset=utf-8"
    assert found.headers["vary"] == "Accept"
    assert f"export MLFLOW_TRACKING_URI={hub.url}\n" in found.body.decode()


def test_the_page_counts_what_is_not_deleted(hub: Server) -> None:
    before = counted(hub)
    run = hub.call("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    gone = hub.call("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    hub.call("POST", "runs/delete", run_id=gone)
    hub.call("POST", "experiments/create", name=f"e-{run}")
    hub.call("POST", "registered-models/create", name=f"m-{run}")
    more = {"experiments": 1, "runs": 1, "registered models and prompts": 1}
    assert counted(hub) == {name: number + more[name] for name, number in before.items()}


def test_what_a_header_says_is_text_in_the_page(hub: Server) -> None:
    headers = BROWSER | {"X-Forwarded-Host": "<script>alert(1)</script>"}
    page = hub.ask("GET", "/", headers=headers).body.decode()
    assert "<script" not in page
    assert "http://&lt;script&gt;" in page


def test_who_has_no_token_sees_no_counts(tmp_path: Path) -> None:
    with mlflow.hub(tmp_path, env={"ASSAY_TOKEN": "secret-token-of-the-team"}) as hub:
        found = hub.ask("GET", "/", headers=BROWSER)
        assert found.status == 401
        assert found.headers["www-authenticate"].startswith("Basic ")  # the browser asks for it
        assert b"experiments" not in found.body
        headers = BROWSER | {"Authorization": "Bearer secret-token-of-the-team"}
        assert b"<th>runs</th><td>0</td>" in hub.ask("GET", "/", headers=headers).body
