"""What takes one piece of evidence away from the project that went the whole way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.base.clock import now_ms
from assay.deploy import endpoints, proofs
from assay.ledger import models, runs, tables
from assay.ledger.runs import Run
from assay.pipeline import record
from assay.pipeline.record import Plan, Step
from assay.traffic import ids
from assay.traffic.record import Record
from assay.traffic.spool import Spool
from tests import make
from tests.audit import built
from tests.audit.built import ENDPOINT

Spoil = Callable[[Path], None]


def change(root: Path, table: Any, values: Mapping[str, Any], **where: Any) -> None:
    """Change rows of the ledger."""
    query = table.update().where(*(table.c[name] == value for name, value in where.items()))
    with built.ledger(root) as ledger, ledger.write() as connection:
        assert connection.execute(query.values(dict(values))).rowcount


def delete(root: Path, table: Any, *conditions: Any) -> None:
    """Delete rows of the ledger."""
    with built.ledger(root) as ledger, ledger.write() as connection:
        assert connection.execute(table.delete().where(*conditions)).rowcount


def training(root: Path, version: int = 2) -> Run:
    """Return the run of the stage that made a version."""
    with built.ledger(root) as ledger:
        return runs.get(ledger, models.get_version(ledger, f"rides/{version}").run or "")


def declared(old: str, new: str) -> Spoil:
    """Change a text in the declaration."""

    def spoil(root: Path) -> None:
        text = (root / "assay.yaml").read_text()
        assert old in text
        (root / "assay.yaml").write_text(text.replace(old, new))

    return spoil


def plan(changed: Callable[[Path, Step], Step | None]) -> Spoil:
    """Change the stages that production's run went through, each or none of it."""

    def spoil(root: Path) -> None:
        project, run = built.project(root), training(root).parent
        with built.ledger(root) as ledger:
            (old,) = (a for a in runs.get(ledger, run or "").artifacts if a.path == record.PLAN)
        content = project.objects.read(old.oid.removeprefix("sha256:"))
        steps = [changed(root, step) for step in record.load(content, where="").steps]
        new = record.dump(Plan(steps=tuple(step for step in steps if step is not None)))
        oid = {"oid": f"sha256:{project.objects.add(new)}"}
        change(root, tables.artifact, oid, run_id=run, path=record.PLAN)

    return spoil


def without_validate(_root: Path, step: Step) -> Step | None:
    return None if step.address == "validate" else step


def not_valid(root: Path, step: Step) -> Step:
    """Let the stage have found the data not valid."""
    if step.address != "validate":
        return step
    document = [{"table": "raw", "valid": False, "n_rows": 9, "anomalies": []}]
    oid = built.project(root).cache.add(json.dumps(document).encode())
    (row,) = step.entry.outs
    outs = (msgspec.structs.replace(row, oid=oid),)
    return msgspec.structs.replace(step, entry=msgspec.structs.replace(step.entry, outs=outs))


def no_branch(root: Path) -> None:
    make.git(root, "update-ref", "refs/exps/be/ef/kept", "refs/heads/main")  # does not count
    make.git(root, "update-ref", "-d", "refs/heads/main")


def other_input(root: Path) -> None:
    values = {"oid": "md5:" + "0" * 32}
    where = {"run_id": training(root).parent, "path": "train.py", "direction": "input"}
    change(root, tables.run_data, values, **where)


def lost_code(root: Path) -> None:
    values = {"code_is_reproducible": False, "code_reason": "12 MB are untracked"}
    change(root, tables.run, values, id=training(root).parent)


def no_parameter(root: Path) -> None:
    delete(root, tables.param, tables.param.c.run_id == training(root).id,
           ~tables.param.c.key.startswith("assay.yaml:"))  # fmt: skip


def other_code(root: Path) -> None:
    """Run twice on the same commit, data and parameters, with other code."""
    for number in range(2):
        with (root / "evaluate.py").open("a") as file:
            file.write(f"THRESHOLD = {number}\n")
        make.done(root, "repro")


def never_reproduced(root: Path) -> None:
    delete(root, tables.tag, tables.tag.c.key == "reproduces")


def reproduced_otherwise(root: Path) -> None:
    change(root, tables.tag, {"value": "differs"}, key="verdict")


def edited_code(root: Path) -> None:
    """Let production have run with a patch that no test saw."""
    patch = b"diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n"
    oid = built.project(root).objects.add(patch + b"-\n+# edited\n")
    change(root, tables.run, {"code_diff": f"sha256:{oid}"}, id=training(root).parent)


def unproved(root: Path) -> None:
    delete(root, tables.edge, tables.edge.c.relation == proofs.PROVED)


def no_start(root: Path) -> None:
    delete(root, tables.edge, tables.edge.c.target.startswith("server:"))


def failed_start(root: Path) -> None:
    with built.ledger(root) as ledger:
        live = endpoints.live(ledger, ENDPOINT)
        assert live is not None
        proofs.add(ledger, live.deployment, by="server:9", ok=False, at=now_ms())


def skewed(root: Path) -> None:
    """Log a request with another wind than the features table has of that hour."""
    log(root, 24 * built.N_DAYS + 5, wind=99.5)


def log(root: Path, number: int, *, seconds: int = -60, **changes: Any) -> None:
    """Log a request about an hour, so many seconds after production's training began."""
    asked = built.row(number) | {"last": built.row(number - 24)["y"]} | changes
    inputs: dict[str, Any] = {name: [value] for name, value in asked.items() if name != "y"}
    run = training(root).parent or ""
    with built.ledger(root) as ledger:
        start = runs.get(ledger, run).start
    with Spool(built.project(root).traffic_dir) as spool:
        spool.append(
            Record(
                id=ids.new_id(), endpoint=ENDPOINT, version="rides/1", bundle="sha256:ab",
                at=start + 1000 * seconds, latency=0.001, n_rows=1, inputs=inputs,
                outputs={"predict": [1.0]}, event_time=[built.START + number * 3_600_000],
            )
        )  # fmt: skip


def no_traffic(root: Path) -> None:
    shutil.rmtree(built.project(root).traffic_dir)


def no_window(root: Path) -> None:
    delete(root, tables.window, tables.window.c.endpoint == ENDPOINT)


def old_window(root: Path) -> None:
    found = built.window(root)
    values = {"start": found.start - 14 * built.DAY, "end": found.end - 14 * built.DAY}
    change(root, tables.window, values, endpoint=ENDPOINT)


def window_without(*keys: str) -> Spoil:
    """Take something out of what the monitor wrote of the last window."""

    def spoil(root: Path) -> None:
        details = built.window(root).details
        place: Any = details
        for key in keys[:-1]:
            place = place[int(key)] if isinstance(place, list) else place[key]
        del place[keys[-1]]
        change(root, tables.window, {"details": json.dumps(details)}, endpoint=ENDPOINT)

    return spoil


def registered_by_hand(root: Path) -> None:
    change(root, tables.version, {"run_id": None}, model="rides", number=1)


def made_elsewhere(root: Path) -> None:
    """Let the first version name a run that did not make its bundle."""
    change(root, tables.version, {"run_id": training(root).id}, model="rides", number=1)


def no_profile(root: Path) -> None:
    """Forget the profile of the newest data, in the ledger and in the index."""
    project = built.project(root)
    (item,) = (item for item in training(root).inputs if item.path == "features.csv")
    change(root, tables.run_data, {"profile": None}, oid=item.oid)
    project.index.close()
    for file in project.assay_dir.glob("index.db*"):
        file.unlink()


def lost_profile(root: Path) -> None:
    """Lose the profile itself."""
    objects = built.project(root).objects
    with built.ledger(root) as ledger, ledger.read() as connection:
        found = connection.execute(tables.run_data.select()).mappings()
        oids = {row["profile"] for row in found if row["path"] == "features.csv"} - {None}
    for oid in oids:
        objects.remove(oid.removeprefix("sha256:"))


def not_compared(root: Path) -> None:
    delete(root, tables.version_tag, tables.version_tag.c.key.in_(["comparison", "gate"]))


def compared_with_another(root: Path) -> None:
    """Keep a report, of another pair."""
    project = built.project(root)
    with built.ledger(root) as ledger:
        oid = models.get_version(ledger, "rides/2").tags["gate"]
    document = json.loads(project.objects.read(oid.removeprefix("sha256:")))
    document["base"] = "sha256:" + "0" * 64
    other = f"sha256:{project.objects.add(json.dumps(document).encode())}"
    change(root, tables.version_tag, {"value": other}, model="rides", version=2, key="gate")


def damaged_bundle(root: Path) -> None:
    objects = built.project(root).objects
    with built.ledger(root) as ledger:
        bundle = models.get_version(ledger, "rides/1").bundle or ""
    index = json.loads(objects.read(bundle.removeprefix("sha256:")))
    file = objects.path(index["files"]["golden.json"]["sha256"])
    file.chmod(0o644)
    file.write_bytes(b"{}")


def no_bundle(root: Path) -> None:
    delete(root, tables.edge, tables.edge.c.relation == "made",
           tables.edge.c.source == f"run:{training(root, 1).id}")  # fmt: skip
