"""The demo's loop on a year whose rentals changed places: nothing is scripted, so it differs.

In the true 2012 the first model holds until spring. Where whole days have each other's rentals,
last week tells nothing, and the loop has to say so within weeks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "bikes"
N_WEEKS = 8
SCRIPT = """
import json, sys
from pathlib import Path
import demo
from console import Console
from replay import Replay

project = Path(sys.argv[1]) / "bikes"
project.mkdir(parents=True)
run = Console(project, n_steps=1)
demo.make_project(project)
for command in (
    "git init --quiet --initial-branch=main .", "assay init", "assay add data/rentals.csv",
    "assay repro", "git add --all && git commit --quiet --message first", "assay gate bundle",
    "assay model register bundle", "assay deploy bikes@1 --to bikes",
):
    run.run(command, show=False)
seen = []
with run.server("assay serve bikes --port 0") as url:
    replay = Replay(url, str(demo.ALL_ROWS), demo.START, shuffled=int(sys.argv[2]))
    with run.events("assay loop bikes --every 0.1 --json") as events:
        for _ in range(int(sys.argv[3])):
            end = replay.week()
            seen += demo.until_idle(events, end)
Path(sys.argv[1], "seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the loop said in the first weeks of the shuffled year."""
    folder = tmp_path_factory.mktemp("shuffled")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(EXAMPLE)!r})\n{SCRIPT}",
         str(folder), "5", str(N_WEEKS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads((folder / "seen.json").read_text())
    return found


def test_the_loop_tells_of_the_error_within_weeks(seen: list[dict[str, Any]]):
    alerts = [one["message"] for one in seen if one["event"] == "alert"]
    assert any(message.startswith("mae of bikes/1 is") for message in alerts), alerts


def test_each_week_was_seen_and_every_retraining_came_to_an_end(seen: list[dict[str, Any]]):
    assert sum(one["event"] == "window" for one in seen) >= N_WEEKS
    begun = [one["id"] for one in seen if one["event"] == "retraining"]
    ended = {one["id"]: one["outcome"] for one in seen if one["event"] == "decision"}
    assert begun
    assert ended.keys() == set(begun)
    assert set(ended.values()) <= {"deployed", "refused", "inconclusive"}
