"""Several processes at once: a window, an alert and a decision come to be once."""

from __future__ import annotations

import json
import subprocess
import sys

from assay.ledger import alerts, decisions, lineage
from assay.ledger.database import Ledger
from assay.ledger.windows import list_windows

N_PROCESSES, N_WINDOWS = 3, 25

WRITE = """if True:
    import json, sys
    from assay.ledger import alerts, decisions
    from assay.ledger.database import open_ledger
    from assay.ledger.windows import Window, put_window
    made = {"windows": [], "alerts": [], "decisions": []}
    with open_ledger(sys.argv[1]) as ledger:
        print("ready", flush=True)
        sys.stdin.readline()
        for end in range(1, int(sys.argv[2]) + 1):
            window = Window(
                endpoint="e", start=end - 1, end=end, bundle=None, version=None, computed=1,
                state="partial", n_rows=0, n_truths=0, details={},
            )
            if put_window(ledger, window):
                made["windows"].append(end)
            alert, is_new = alerts.raise_alert(
                ledger, "e", monitor="drift", message="m", window_end=end, deployment="d"
            )
            if is_new:
                made["alerts"].append(alert.id)
            begun = decisions.start(
                ledger, "e", trigger="drift", window_end=end, alert=alert.id
            )
            if begun:
                made["decisions"].append(begun.id)
    print(json.dumps(made))
"""


def test_of_several_processes_exactly_one_writes_each_window_alert_and_decision(ledger: Ledger):
    command = [sys.executable, "-W", "error", "-c", WRITE, ledger.where, str(N_WINDOWS)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(N_PROCESSES)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    said = [json.loads(one.communicate()[0]) for one in started]

    made = {kind: [id_ for one in said for id_ in one[kind]] for kind in said[0]}
    assert sorted(made["windows"]) == list(range(1, N_WINDOWS + 1))
    assert len(list_windows(ledger, "e")) == N_WINDOWS
    there = alerts.list_alerts(ledger)
    assert len(there) == N_WINDOWS
    assert {one.id for one in there} == set(made["alerts"])
    begun = decisions.list_decisions(ledger)
    assert len(begun) == N_WINDOWS
    assert sorted(one.id for one in begun) == sorted(made["decisions"])
    assert len(lineage.edges_from(ledger, "deployment:d")) == N_WINDOWS
    assert {one.alert for one in begun} == {one.id for one in there}
