"""Triton's own client, unchanged and with its defaults, is answered as by Triton."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bundle import trained
from tests.serve import running, switches

PYTHON = Path(__file__).parents[2] / ".peers" / "triton" / "bin" / "python"
CLIENT = str(Path(__file__).with_name("triton_client.py"))
ON_CI = os.environ.get("CI") == "true"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not PYTHON.exists() and not ON_CI,
        reason="tritonclient is not in .peers/triton: 'make test' installs it",
    ),
]


def checked(models: running.Models, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Let the client ask a running server, and return what it got."""
    path = models.root.parent / "asked.json"
    path.write_text(json.dumps(rows))
    with running.serving(models.root) as served:
        url = served.url.removeprefix("http://")
        done = subprocess.run(
            [PYTHON, CLIENT, "check", url, "bikes", str(path)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert served.lives()
        assert "Traceback" not in served.log.read_text()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_client_s_defaults_and_its_json_give_the_bundle_s_own_numbers(tmp_path: Path):
    models = running.project(tmp_path, 0.0)
    found = checked(models, running.rows(120))
    assert (found["live"], found["ready"]) == (True, True)
    assert found["model_ready"] == [True, False]
    assert found["version_ready"] == [True, False]
    assert "binary_tensor_data" in found["server"]["extensions"]
    expected = running.expected(models.bundles[1], 120)
    assert len(found["answers"]) == 10
    for answer in found["answers"]:
        assert answer["values"] == {"predict": expected}
        assert answer["version"] == "1"
    assert [answer["id"] for answer in found["answers"]] == [*[None] * 3, "mine", *[None] * 6]
    assert [status for status, _ in found["errors"]] == ["404", "400", "400", "501", "404"]
    assert all("decoding the response" not in message for _, message in found["errors"])
    assert "unknown model: 'unknown'" in found["errors"][0][1]


def test_texts_and_probabilities_come_in_both_forms(tmp_path: Path):
    models = running.project(tmp_path)
    busy = np.where(trained.target(trained.table()) > 5, "bus\u00fd", "calm")
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=3, random_state=0)
    forest.fit(trained.matrix(trained.table()), busy)
    models.deploy(models.add(model=forest, X=trained.table(), y=busy))
    found = checked(models, running.rows(7))
    table = {name: values[:7] for name, values in trained.whole().items()}
    answers = models.bundles[1].answers(table)
    expected = {name: values.tolist() for name, values in answers.items()}
    for answer in found["answers"]:
        names = answer["values"]["predict"]
        assert names == expected["predict"]
        assert answer["values"]["predict_proba"] == expected["predict_proba"]
    assert found["answers"][0]["names"] == ["predict", "predict_proba"]
    assert found["answers"][2]["names"] == ["predict_proba", "predict"]


@pytest.mark.parametrize(
    ("n_requests", "n_switches"),
    [(2_000, 5), pytest.param(10_000, 20, marks=pytest.mark.slow)],
)
def test_no_request_of_the_client_is_lost_while_versions_are_switched(
    tmp_path: Path, n_requests: int, n_switches: int
):
    models = running.project(tmp_path, *switches.OFFSETS)
    program = [str(PYTHON), CLIENT, "load"]
    with running.serving(models.root) as served:
        replies, done = switches.run(
            models, served, program, n_requests=n_requests, n_switches=n_switches
        )
        assert served.end() == 0
    switches.judge(models, replies, done, n_requests=n_requests)
