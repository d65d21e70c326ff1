"""`cache verify` reads every object: the damaged are named, put aside, and repaired if it can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.objects import transfer
from assay.pipeline import kept
from assay.project.workspace import Project
from tests import make, stages
from tests.journeys.test_bad_data import DATA


@pytest.fixture
def stored(project: Path, tmp_path: Path) -> Path:
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"a": "1", "d/x": "2", "d/y": "3"})
    make.done(project, "add", "a", "d")
    return project


def test_whole_stores_are_called_whole(stored: Path):
    objects = Project(stored).objects
    objects.add(b"ours")
    shown = make.done(stored, "cache", "verify")
    assert shown.endswith("all are whole.\n")
    assert "Read 5 objects" in shown
    document = json.loads(make.done(stored, "cache", "verify", "--json"))
    assert document["places"] == [str(make.cache(stored).folder), str(objects.folder)]


def test_a_project_without_objects_is_whole(project: Path):
    shown = make.done(project, "cache", "verify")
    assert shown.startswith("Read 0 objects (0 B) in ")
    assert shown.endswith(": all are whole.\n")


def test_damage_is_put_aside_and_repaired_from_the_remote(stored: Path):
    make.done(stored, "push")
    cache = make.cache(stored)
    manifest = next(oid for oid in cache if oid.endswith(".dir"))
    for oid in (DATA, manifest):
        stages.damage(cache.path(oid))
    spoilt = cache.path(DATA).read_bytes()
    shown = make.assay(stored, "cache", "verify")
    assert shown.code == 0
    assert f"damaged: md5:{DATA}\n" in shown.out
    assert shown.out.count("replaced from remote 'st'") == 2
    assert (cache.folder / "damaged" / DATA).read_bytes() == spoilt
    assert all(cache.verify(oid) for oid in cache)
    assert manifest in cache


def test_damage_that_nobody_can_repair_is_a_no(stored: Path):
    cache = make.cache(stored)
    stages.damage(cache.path(DATA))
    shown = make.assay(stored, "cache", "verify")
    assert shown.code == 1
    assert "no good one was found" in shown.out
    assert DATA not in cache
    assert "2 damaged" not in shown.out
    make.done(stored, "commit", "a")  # the work tree has it
    assert make.assay(stored, "cache", "verify").code == 0


def test_without_a_remote_it_says_why_nothing_came(project: Path):
    make.write(project, {"a": "1"})
    make.done(project, "add", "a")
    stages.damage(make.cache(project).path(DATA))
    shown = make.assay(project, "cache", "verify")
    assert (shown.code, "no default remote is set" in shown.err) == (1, True)


def test_an_unreachable_remote_does_not_hide_the_damage(stored: Path, tmp_path: Path):
    (tmp_path / "store").write_text("no folder")
    stages.damage(make.cache(stored).path(DATA))
    shown = make.assay(stored, "cache", "verify")
    assert (shown.code, f"damaged: md5:{DATA}" in shown.out) == (1, True)
    assert "the remote is a file" in shown.err


def test_the_second_store_repairs_the_cache(stored: Path):
    """Data of a registered model lies in both; where links fail these are two copies."""
    project = Project(stored)
    store = kept.store(project)
    store.add(b"1")
    stages.damage(project.cache.path(DATA))
    shown = make.done(stored, "cache", "verify")
    assert "replaced from the store beside it" in shown
    assert project.cache.read(DATA) == b"1"


def test_of_our_own_objects_a_damaged_one_is_named(stored: Path):
    objects = Project(stored).objects
    oid = objects.add(b"a profile")
    stages.damage(objects.path(oid))
    shown = make.assay(stored, "cache", "verify")
    assert (shown.code, f"damaged: sha256:{oid}" in shown.out) == (1, True)
    assert not objects.has(oid)


def test_a_remote_is_read_and_repaired_from_the_cache(stored: Path, tmp_path: Path):
    make.done(stored, "push")
    there = tmp_path / "store" / transfer.key_of(DATA)
    stages.damage(there)
    shown = make.done(stored, "cache", "verify", "-r")
    assert f"damaged: md5:{DATA}" in shown
    assert "replaced from the cache" in shown
    assert there.read_bytes() == b"1"
    assert make.done(stored, "cache", "verify", "--remote", "st").endswith("all are whole.\n")


def test_damage_of_a_remote_that_the_cache_cannot_repair_stays_named(stored: Path, tmp_path: Path):
    make.done(stored, "push")
    there = tmp_path / "store" / transfer.key_of(DATA)
    stages.damage(there)
    make.cache(stored).remove(DATA)
    shown = make.assay(stored, "cache", "verify", "-r", "st")
    assert shown.code == 1
    assert there.exists()
    stages.damage(make.cache(stored).path(make.cache(stored).add(b"1")))
    assert make.assay(stored, "cache", "verify", "-r", "st").code == 1
    assert make.assay(stored, "cache", "verify", "-r", "nope").code == 255
