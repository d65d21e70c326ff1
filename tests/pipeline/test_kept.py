"""What a run read and made comes back from the second store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.pipeline import kept, record
from assay.pipeline.record import Plan
from assay.project import workspace
from assay.project.workspace import Project
from tests import make, stages

PIPELINE = """
stages:
  join:
    cmd: cat data/code.sql data/*.csv > all.txt; mkdir parts; cp data/*.csv parts
    deps: [data]
    outs: [all.txt, parts]
"""


def ran(folder: Path) -> tuple[Project, Plan, str | None]:
    """Run a stage that reads a folder with code and tracked data, and return its record."""
    files = {"data/a.csv": "1\n", "data/b.csv": "2\n", "data/code.sql": "x\n"}
    root = make.write(make.project(folder), {**files, "dvc.yaml": PIPELINE})
    make.done(root, "add", "data/a.csv", "data/b.csv")
    make.commit(root)
    make.done(root, "repro")
    project = workspace.find(root)
    with open_ledger(project.ledger_path) as ledger:
        run = runs.get(ledger, "latest")
    oid = next(one.oid for one in run.artifacts if one.path == record.PLAN)
    content = project.objects.read(oid.removeprefix("sha256:"))
    return project, record.load(content, where="plan"), run.code.commit


def test_a_run_is_reproduced_without_its_cache(tmp_path: Path):
    project, plan, commit = ran(tmp_path / "project")
    inside = kept.tracked_inside(project, plan, commit=commit)
    assert len(inside) == 2
    assert kept.keep(project, [*kept.oids_of(plan), *inside]) == 4  # code is passed by
    shutil.rmtree(project.cache.folder)
    shown = make.assay(project.root, "reproduce", "--json")
    assert shown.code == 0, shown
    assert json.loads(shown.out)["sameness"] == "identical"


def test_a_damaged_manifest_is_not_brought_back(tmp_path: Path):
    project, plan, _ = ran(tmp_path / "project")
    oids = kept.oids_of(plan)
    kept.keep(project, oids)
    manifest = stages.out_oid(project.root, "parts")
    shutil.rmtree(project.cache.folder)
    stages.damage(kept.store(project).path(manifest))
    kept.restore(project, oids)
    assert not project.cache.has(manifest)
    assert kept.is_whole(project.cache, stages.out_oid(project.root, "all.txt"))


def test_to_keep_or_restore_twice_is_as_good_as_once(tmp_path: Path):
    project, plan, _ = ran(tmp_path / "project")
    before = set(project.cache)
    for _ in range(2):
        assert kept.keep(project, kept.oids_of(plan)) == 2
        kept.restore(project, kept.oids_of(plan))
    assert set(project.cache) == before
