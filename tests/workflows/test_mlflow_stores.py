"""Stores of MLflow, written by hand: one bad row is a complaint, and the rest comes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error
from assay.ledger import models, runs
from assay.ledger.database import open_ledger
from assay.objects.cache import Cache
from assay.workflows.mlflow import importing
from assay.workflows.record_places import Place
from assay.workflows.run_files import Imported
from tests import make

BAD, GOOD = "a" * 32, "b" * 32
TABLES = """
CREATE TABLE experiments(experiment_id integer, name, lifecycle_stage text, creation_time,
                         last_update_time);
CREATE TABLE runs(run_uuid, name, experiment_id integer, status, start_time, end_time,
                  lifecycle_stage text, user_id, artifact_uri, deleted_time);
CREATE TABLE metrics(key, value, timestamp, run_uuid, step, is_nan);
CREATE TABLE params(key, value, run_uuid);
CREATE TABLE tags(key, value, run_uuid);
CREATE TABLE logged_models(model_id, name, experiment_id, status, creation_timestamp_ms,
                           last_updated_timestamp_ms, lifecycle_stage);
CREATE TABLE logged_model_metrics(model_id, metric_name, metric_step, metric_timestamp_ms,
                                  metric_value, run_id);
CREATE TABLE registered_models(name, creation_time, last_updated_time, description);
CREATE TABLE registered_model_aliases(name, alias, version);
CREATE TABLE model_versions(name, version, current_stage, creation_time, last_updated_time,
                            source, status);
INSERT INTO experiments VALUES(0, 'Default', 'active', 1, 1);
INSERT INTO registered_models VALUES('churn', 1, 1, NULL);
INSERT INTO model_versions VALUES('churn', 1, 'None', 1, 1, 's3://b/x', 'READY');
INSERT INTO model_versions VALUES('churn', 2, 'None', 2, 2, 's3://b/y', 'READY');
INSERT INTO registered_model_aliases VALUES('churn', 'production', 2);
"""
META = {
    "run_name": "x", "status": 3, "start_time": 5, "end_time": 6, "lifecycle_stage": "active",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, ledger_where: Path | str) -> Place:
    objects = Cache(tmp_path / "objects", algorithm="sha256")
    return Place(ledger=ledger_where, objects=objects, folder=tmp_path / "records")


def yaml(**fields: Any) -> str:
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def folder(store: Path, *, bad: dict[str, Any] | None = None) -> Path:
    """Write a folder `mlruns` with two runs, a logged model and a registered one."""
    files: dict[str, str | bytes] = {
        "0/meta.yaml": yaml(name="Default", experiment_id="'0'", creation_time=1),
        "0/models/m-1/meta.yaml": yaml(
            model_id="m-1", name="clf", status=2, creation_timestamp=1, last_updated_timestamp=1
        ),
        "models/churn/meta.yaml": yaml(
            name="churn", creation_timestamp=1, last_updated_timestamp=1
        ),
        "models/churn/aliases/production": "2",
    }
    for id_ in (BAD, GOOD):
        files |= {
            f"0/{id_}/meta.yaml": yaml(run_id=id_, **META | ((bad or {}) if id_ == BAD else {})),
            f"0/{id_}/params/p": "v",
            f"0/{id_}/metrics/m": "1 0.5 0\n",
            f"0/{id_}/artifacts/model.txt": id_,
        }
    for n in (1, 2):
        files[f"models/churn/version-{n}/meta.yaml"] = yaml(
            name="churn", version=n, current_stage="None", creation_timestamp=n,
            last_updated_timestamp=n, source=f"s3://b/{n}", status="READY",
        )  # fmt: skip
    make.write(store, files)
    return store


def database(path: Path, statements: str = "") -> Path:
    """Write a database of MLflow's with two runs, a logged model and a registered one."""
    with sqlite3.connect(path) as file:
        file.executescript(TABLES)
        for id_ in (BAD, GOOD):
            row = (id_, "x", 0, "FINISHED", 5, 6, "active", "u", None, None)
            file.execute("INSERT INTO runs VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            file.execute("INSERT INTO params VALUES('p', 'v', ?)", (id_,))
            file.execute("INSERT INTO metrics VALUES('m', 0.5, 1, ?, 0, 0)", (id_,))
        file.execute("INSERT INTO logged_models VALUES('m-1', 'clf', 0, 2, 1, 1, 'active')")
        file.executescript(statements)
    file.close()
    return path


def whole(place: Place, store: Path) -> Imported:
    """Import a store, and check that the good run and the rest are here."""
    done = importing.read(place, str(store))
    with open_ledger(place.ledger) as ledger:
        found = runs.get(ledger, GOOD)
        assert (found.params, found.metrics["m"].value) == ({"p": "v"}, 0.5)
        assert models.get_version(ledger, "churn@production").number == 2
    return done


def put(name: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda store: make.write(store, {name: content})


def data_set(store: Path) -> None:
    make.write(store, {
        "0/datasets/d/meta.yaml": yaml(name="d", digest="1"),
        f"0/{BAD}/inputs/i/meta.yaml": yaml(source_type="DATASET", source_id="d", tags="[a]"),
    })  # fmt: skip


HUGE = "9" * 23
BAD_FILES: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "a null character in a parameter": (
        put(f"0/{BAD}/params/p", b"a\0b"), r"params: 'p': 'a\x00b' is no text that every", 1),
    "a step of 77 bits": (put(f"0/{BAD}/metrics/m", f"1 0.5 {HUGE}"), "is no point", 2),
    "a moment of 77 bits": (put(f"0/{BAD}/metrics/m", f"{HUGE} 0.5 0"), "is no point", 2),
    "a number of thousands of digits": (
        put(f"0/{BAD}/metrics/m", f"1 0.5 {'9' * 5000}"), "is no point", 2),
    "a start that is a word": (
        put(f"0/{BAD}/meta.yaml", yaml(run_id=BAD, **META | {"start_time": "abc"})),
        f"the run in 0/{BAD} is left out: Expected `int`, got `str`", 1),
    "a start that is a day": (
        put(f"0/{BAD}/meta.yaml", yaml(run_id=BAD, **META | {"start_time": "2026-01-01"})),
        f"the run in 0/{BAD} is left out: Expected `int`", 1),
    "a start of 77 bits": (
        put(f"0/{BAD}/meta.yaml", yaml(run_id=BAD, **META | {"start_time": HUGE})),
        "start: it is a number of more than 64 bits", 1),
    "a status that is a list": (
        put(f"0/{BAD}/meta.yaml", yaml(run_id=BAD, **META | {"status": "[3]"})),
        f"the run in 0/{BAD} is left out: unhashable", 1),
    "an id that leaves its folder": (
        put(f"0/{BAD}/meta.yaml", yaml(run_id="../../..", **META)), "'../../..' is no id", 1),
    "tags of a data set that are a list": (
        data_set, f"the run in 0/{BAD} is left out: 'list' object has no attribute", 1),
    "an experiment of another year": (
        put("0/meta.yaml", yaml(name="Default", creation_time="x")),
        "the experiment in 0 is left out: Expected `int`, got `str`", 2),
    "a logged model without a moment": (
        put("0/models/m-1/meta.yaml", yaml(model_id="m-1", name="clf", creation_timestamp="x")),
        "the logged model in 0/models/m-1 is left out", 2),
    "a version that is a letter": (
        put("models/churn/version-1/meta.yaml", yaml(version="x", name="churn")),
        "the version in models/churn/version-1 is left out: invalid literal", 2),
    "a version of another year": (
        put("models/churn/version-1/meta.yaml", yaml(version=1, creation_timestamp="x")),
        "the version in models/churn/version-1 is left out: Expected `int`, got `str`", 2),
    "an alias of a superscript": (put("models/churn/aliases/odd", "²"), "", 2),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_FILES)
def test_one_bad_file_of_a_folder_is_named_and_the_rest_comes(
    place: Place, tmp_path: Path, what: str
):
    spoil, complaint, n_runs = BAD_FILES[what]
    store = folder(tmp_path / "mlruns")
    spoil(store)
    done = whole(place, store)
    assert done.new == n_runs
    assert len(done.complaints) == (1 if complaint else 0)
    assert all(complaint in one for one in done.complaints)


BAD_ROWS = {
    "a null character in a parameter": (
        f"UPDATE params SET value = 'a' || char(0) || 'b' WHERE run_uuid = '{BAD}'",
        "params: 'p': 'a\\x00b' is no text that every", 1),
    "a step that is no integer of 64 bits": (
        f"UPDATE metrics SET step = 1e30 WHERE run_uuid = '{BAD}'",
        f"a point of metric 'm' of '{BAD}' is none: a number has more than 64 bits", 2),
    "a value that is a word": (
        f"UPDATE metrics SET value = 'high' WHERE run_uuid = '{BAD}'",
        f"a point of metric 'm' of '{BAD}' is none: could not convert", 2),
    "a start that is a word": (
        f"UPDATE runs SET start_time = 'abc' WHERE run_uuid = '{BAD}'",
        f"the run '{BAD}' is left out: Expected `int`, got `str`", 1),
    "a run without an id": (
        f"UPDATE runs SET run_uuid = NULL WHERE run_uuid = '{BAD}'",
        "the run None is left out: it is found by no id", 1),
    "an experiment without a moment": (
        "UPDATE experiments SET creation_time = 'x'",
        "the experiment 'Default' is left out: Expected `int`, got `str`", 2),
    "a logged model without a name": (
        "UPDATE logged_models SET name = NULL", "the logged model 'm-1' is left out", 2),
    "a point of a logged model that is none": (
        f"INSERT INTO logged_model_metrics VALUES('m-1', 'acc', 'x', 1, 0.5, '{GOOD}')",
        "a point of metric 'acc' of 'm-1' is left out: invalid literal", 2),
    "a version that is a letter": (
        "UPDATE model_versions SET version = 'x' WHERE version = 1",
        "the version 'x' of 'churn' is left out: invalid literal", 2),
    "an alias of no number": (
        "INSERT INTO registered_model_aliases VALUES('churn', 'odd', 'x')", "", 2),
    "a text of another encoding": (
        f"INSERT INTO tags VALUES('t', CAST(x'ff' AS TEXT), '{BAD}')", "", 2),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_ROWS)
def test_one_bad_row_of_a_database_is_named_and_the_rest_comes(
    place: Place, tmp_path: Path, what: str
):
    statement, complaint, n_runs = BAD_ROWS[what]
    done = whole(place, database(tmp_path / "mlflow.db", statement))
    assert done.new == n_runs
    assert len(done.complaints) == (1 if complaint else 0)
    assert all(complaint in one for one in done.complaints)


def test_a_damaged_page_is_said_to_be_one(place: Place, tmp_path: Path):
    rows = "".join(f"INSERT INTO tags VALUES('t', '{'x' * 300}', '{n:032x}');" for n in range(300))
    path = database(tmp_path / "mlflow.db", rows)
    content = bytearray(path.read_bytes())
    content[-60_000:-40_000] = b"Z" * 20_000
    path.write_bytes(content)
    with pytest.raises(Error, match="the database is damaged: ") as caught:
        importing.read(place, str(path))
    assert caught.value.where == str(path)
    assert ".recover" in str(caught.value.hint)


@pytest.mark.parametrize("uri", ["''", "'.'", "/", "'file:'", "'file://'", "'..'", "'file:///'"])
def test_no_folder_but_its_own_is_taken_for_the_artifacts_of_a_run(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
):
    make.write(tmp_path, {"here/secret.env": "x"})
    monkeypatch.chdir(tmp_path / "here")
    done = importing.read(place, str(folder(tmp_path / "mlruns", bad={"artifact_uri": uri})))
    assert done.complaints == []
    with open_ledger(place.ledger) as ledger:
        assert [one.path for one in runs.get(ledger, BAD).artifacts] == ["model.txt"]


@pytest.mark.parametrize("uri", ["./kept/a", "kept/a", "file:kept/a"])
def test_a_relative_place_of_artifacts_begins_beside_the_store(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
):
    make.write(tmp_path, {"here/kept/a/wrong.txt": "x", "there/kept/a/right.txt": "x"})
    monkeypatch.chdir(tmp_path / "here")
    store = folder(tmp_path / "there" / "mlruns", bad={"artifact_uri": uri})
    shutil.rmtree(store / "0" / BAD / "artifacts")
    importing.read(place, str(store))
    with open_ledger(place.ledger) as ledger:
        assert [one.path for one in runs.get(ledger, BAD).artifacts] == ["right.txt"]
