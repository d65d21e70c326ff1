"""A purge beside others: what they restore, send and record while it looks stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from assay.ledger import deleting, operations, runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Artifact, Writer
from assay.objects.receiving import arriving
from assay.project.workspace import Project
from assay.workflows import purging, record_places
from assay.workflows.garbage import GRACE
from assay.workflows.record_places import Place
from tests import make

NOW = 2e9
"""A moment long after all that the tests write, in Unix seconds."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return record_places.of_hub(tmp_path / "hub", create=True)


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    Path(place.ledger).parent.mkdir(parents=True)
    with open_ledger(place.ledger) as opened:
        yield opened


def sent(place: Place, content: bytes) -> Artifact:
    """Send an object as a client of a hub does."""
    with arriving(place.objects) as one:
        one.write(content)
        stored = one.finish()
    return Artifact(path="model", oid=f"sha256:{stored.oid}", size=stored.size)


def deleted(ledger: Ledger, *kept: Artifact) -> str:
    writer = Writer(ledger)
    run = writer.start_run(name="a", kind="script")
    writer.add_artifacts(run, kept)
    writer.finish_run(run, status="finished")
    deleting.delete(ledger, [run])
    return run


def test_a_run_that_is_restored_while_a_person_is_asked_keeps_its_artifacts(
    place: Place, ledger: Ledger
):
    one, other = sent(place, b"one"), sent(place, b"other")
    run, gone = deleted(ledger, one), deleted(ledger, other)
    found = purging.find(place, now=NOW)
    assert (len(found.what.runs), found.artifacts) == (2, 2)
    deleting.restore(ledger, [run])
    done = purging.free(place, found, now=NOW)
    assert [row.id for row in done.what.runs] == [gone]
    assert (done.artifacts, done.others, done.size) == (1, 0, 5)
    [kept] = runs.get(ledger, run).artifacts
    assert place.objects.read(kept.oid.removeprefix("sha256:")) == b"one"
    assert list(place.objects) == [one.oid.removeprefix("sha256:")]


def test_an_object_that_a_client_has_just_sent_is_left_for_its_record(
    place: Place, ledger: Ledger
):
    artifact = sent(place, b"weights")
    path = place.objects.path(artifact.oid.removeprefix("sha256:"))
    os.utime(path, (1, 1))
    deleted(ledger, artifact)
    found = purging.find(place)
    assert (found.artifacts, found.n_young) == (1, 0)
    writer = Writer(ledger)
    run = writer.start_run(name="b", kind="script")
    assert sent(place, b"weights") == artifact  # and its record comes after the purge
    done = purging.free(place, found)
    assert (len(done.what.runs), done.artifacts, done.size, done.n_young) == (1, 0, 0, 1)
    writer.add_artifacts(run, [artifact])
    assert path.read_bytes() == b"weights"


def test_what_was_written_an_hour_ago_goes(place: Place, ledger: Ledger):
    artifact = sent(place, b"weights")
    written = place.objects.path(artifact.oid.removeprefix("sha256:")).stat().st_mtime
    deleted(ledger, artifact)
    found = purging.find(place, now=written + GRACE - 1)
    assert (found.artifacts, found.size, found.n_young) == (0, 0, 1)
    found = purging.find(place, now=written + GRACE + 1)
    assert (found.artifacts, found.size, found.n_young) == (1, 7, 0)
    assert purging.free(place, found, now=written + GRACE + 1) == found
    assert list(place.objects) == []


def test_in_a_hubs_folder_the_next_purge_takes_what_the_last_was_too_early_for(
    place: Place, ledger: Ledger
):
    deleted(ledger, sent(place, b"weights"))
    writer = Writer(ledger)
    run = writer.start_run(name="b", kind="script")
    kept = sent(place, b"kept")
    writer.add_artifacts(run, [kept])
    other = sent(place, b"what another ledger names")
    first = purging.free(place, purging.find(place))
    assert (len(first.what.runs), first.artifacts, first.others, first.n_young) == (1, 0, 0, 1)
    found = purging.find(place, now=NOW)
    assert (bool(found.what), found.others, found.size, found.n_young) == (False, 1, 7, 0)
    assert purging.free(place, found, now=NOW) == found
    assert {f"sha256:{oid}" for oid in place.objects} == {kept.oid, other.oid}
    assert not purging.find(place, now=NOW)


def test_an_artifact_of_a_record_that_waits_to_be_sent_is_kept(tmp_path: Path):
    project = Project(make.project(tmp_path / "project"))
    place = record_places.of_project(project)
    with open_ledger(project.ledger_path) as ledger:
        oid = project.objects.add(b"weights")
        artifact = Artifact(path="model", oid=f"sha256:{oid}", size=7)
        deleted(ledger, artifact)
    spool = project.assay_dir / "spool"
    spool.mkdir()
    waiting = msgspec.json.encode(operations.AddArtifacts(run="r", at=1, artifacts=(artifact,)))
    (spool / "r.s.jsonl").write_bytes(waiting + b"\n")
    done = purging.free(place, purging.find(place, now=NOW), now=NOW)
    assert (len(done.what.runs), done.artifacts) == (1, 0)
    assert list(project.objects) == [oid]
