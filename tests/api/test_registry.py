"""Registered models over HTTP: bad input changes nothing, what is sent again is done once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from assay.bundle import contents
from assay.ledger import models
from assay.ledger.database import open_ledger
from assay.objects.cache import Cache
from tests import databases, mlflow
from tests.bundle import trained

API = "/api/2.0/mlflow/"
TREE = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module", params=databases.KINDS)
def where(request: pytest.FixtureRequest, folder: Path) -> Path | str:
    """The ledger of the hub: a file, and a database."""
    if request.param == "sqlite":
        return folder / "hub" / "ledger.db"
    server: databases.Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture(scope="module")
def hub(folder: Path, where: Path | str) -> Iterator[mlflow.Server]:
    with mlflow.hub(folder, "--ledger", str(where)) as server:
        server.call("POST", "registered-models/create", name="m", description="d")
        server.call("POST", "model-versions/create", name="m", source="s3://b/1")
        server.call("POST", "registered-models/alias", name="m", alias="live", version="1")
        yield server


def state(hub: mlflow.Server) -> Any:
    """Return all that the registry shows."""
    return [
        hub.call("GET", "registered-models/search", max_results=1000),
        hub.call("GET", "model-versions/search"),
    ]


def refused(hub: mlflow.Server, method: str, path: str, fields: Any) -> tuple[int, str, str]:
    """Send what has to fail, changing nothing; return status, code and message."""
    before = state(hub)
    body, query = fields, ""
    if method == "GET":
        body, query = None, "?" + "&".join(f"{key}={value}" for key, value in fields.items())
    found = hub.ask(method, API + path + query, body)
    assert state(hub) == before
    return found.status, found.json()["error_code"], found.json()["message"]


M1 = {"name": "m", "version": "1"}
NEW = {"name": "m", "source": "s3://b/x"}


@pytest.mark.parametrize(
    ("what", "fields", "status", "words"),
    [
        ("POST m/create", {"name": "m"}, 400, "(name=m) already exists"),
        ("POST m/create", {}, 400, "required parameter 'name'"),
        ("POST m/create", {"name": "a/b"}, 400, "cannot contain '/' or ':'"),
        ("POST m/create", {"name": "n", "tags": [{"key": "#"}]}, 400, "'key'"),
        ("POST m/create", {"name": "n", "tags": [{}]}, 400, "tags[0].key"),
        ("POST m/create", {"name": ["n"]}, 400, "parameter 'name'"),
        ("POST m/rename", {"name": "m", "new_name": "a:b"}, 400, "'a:b'"),
        ("POST m/rename", {"name": "x", "new_name": "y"}, 404, "name=x not"),
        ("PATCH m/update", {"name": "x"}, 404, "name=x not found"),
        ("DELETE m/delete", {"name": "x"}, 404, "name=x not found"),
        ("POST m/alias", M1 | {"alias": "latest"}, 400, "is reserved"),
        ("POST m/alias", M1 | {"alias": "a\n"}, 400, "Invalid alias name"),
        ("POST m/alias", M1 | {"alias": "é" * 256}, 400, "maximum length of 255"),
        ("POST m/alias", {"name": "m", "version": "9", "alias": "a"}, 404, "=9)"),
        ("GET m/alias", {"name": "m", "alias": "no"}, 400, "alias no not found"),
        ("POST m/set-tag", {"name": "m", "key": ""}, 400, "parameter 'key'"),
        (
            "POST m/set-tag", {"name": "m", "key": "k", "value": "v" * 100_001},
            400, "'value' exceeds the maximum length of 100000",
        ),
        ("POST v/create", {"name": "x", "source": "s3://b/x"}, 404, "name=x not"),
        ("POST v/create", NEW | {"model_id": "m-none"}, 404, "'m-none' not found"),
        (
            "POST v/create", NEW | {"model_id": "m-none", "run_id": "r"},
            404, "'m-none' not found",
        ),  # MLflow's server makes the version, then answers 404
        ("POST v/create", NEW | {"source": "/etc"}, 400, "To use a local path"),
        ("POST v/create", NEW | {"source": "file://h/x"}, 400, "of another host"),
        ("POST v/create", NEW | {"source": "s3://[b/x"}, 400, "Invalid IPv6 URL"),
        ("POST v/create", NEW | {"source": "http://u:p@h/x"}, 400, "named in the"),
        ("POST v/create", NEW | {"source": "models:/m/Staging"}, 404, "'Staging' f"),
        ("POST v/create", NEW | {"source": "models:/m/" + "9" * 40}, 404, "not found"),
        ("GET v/get", {"name": "m", "version": "9" * 40}, 404, "not found"),
        ("GET v/get", {"name": "m", "version": "one"}, 400, "must be an integer"),
        (
            "POST v/transition-stage",
            M1 | {"stage": "None", "archive_existing_versions": True}, 400, "not an Active stage",
        ),
        ("POST v/transition-stage", M1 | {"stage": "Live"}, 400, "stage: Live"),
        ("DELETE v/delete", {"name": "m", "version": "2"}, 404, "version=2) not"),
        ("PATCH v/update", {"name": "m", "version": 1}, 400, "parameter 'version'"),
        ("GET v/get-download-uri", {"name": "m"}, 400, "must be an integer"),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_changes_nothing(
    hub: mlflow.Server, what: str, fields: Any, status: int, words: str
):
    method, _, path = what.partition(" ")
    of, _, action = path.partition("/")
    full = {"m": "registered-models", "v": "model-versions"}[of]
    found = refused(hub, method, f"{full}/{action}", fields)
    taken = "already exists" in words
    code = "RESOURCE_ALREADY_EXISTS" if taken else "INVALID_PARAMETER_VALUE"
    assert found[:2] == (status, "RESOURCE_DOES_NOT_EXIST" if status == 404 else code)
    assert words in found[2]
    assert "u:p" not in found[2].replace("Invalid model version source: 'http://u:p", "")


def test_what_a_client_sends_again_is_done_once(hub: mlflow.Server):
    """It repeats what was answered with a 5xx, such as a 503 of a busy database."""
    hub.call("POST", "registered-models/create", name="again")
    hub.call("POST", "model-versions/create", name="again", source="s3://b/1")
    one = {"name": "again", "version": "1"}
    for method, path, fields in [
        ("POST", "registered-models/set-tag", {"name": "again", "key": "k", "value": "v"}),
        ("POST", "registered-models/alias", one | {"alias": "a"}),
        ("POST", "model-versions/set-tag", one | {"key": "k", "value": "v"}),
        ("POST", "model-versions/transition-stage", one | {"stage": "Staging"}),
        ("PATCH", "model-versions/update", one | {"description": "d"}),
        ("PATCH", "registered-models/update", {"name": "again", "description": "d"}),
        ("DELETE", "model-versions/delete-tag", one | {"key": "k"}),
        ("DELETE", "registered-models/delete-tag", {"name": "again", "key": "k"}),
        ("DELETE", "registered-models/alias", {"name": "again", "alias": "a"}),
    ]:
        twice = []
        for _ in range(2):
            answer = hub.call(method, path, **fields)
            shown = hub.call("GET", "registered-models/get", name="again")
            twice.append(_without_times([answer, shown]))
        assert twice[0] == twice[1], path


def _without_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_times(one) for one in value]
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if not key.endswith("timestamp")}
        return {key: _without_times(one) for key, one in kept.items()}
    return value


def test_versions_that_are_made_at_once_have_numbers_of_their_own(hub: mlflow.Server):
    hub.call("POST", "registered-models/create", name="many")

    def make(number: int) -> int:
        made = hub.call("POST", "model-versions/create", name="many", source=f"s3://b/{number}")
        return int(made["model_version"]["version"])

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(make, range(80))) == list(range(1, 81))


def test_a_folder_on_a_disk_is_a_source_if_the_run_keeps_its_files_there(
    hub: mlflow.Server, tmp_path: Path
):
    made = hub.call("POST", "experiments/create", name="on disk", artifact_location=str(tmp_path))
    run = hub.call("POST", "runs/create", experiment_id=made["experiment_id"])["run"]["info"]
    root = run["artifact_uri"]
    hub.call("POST", "registered-models/create", name="local")
    for source in (f"{root}/model", f"file://{root}/a%20b" if root.startswith("/") else root):
        sent = {"name": "local", "source": source, "run_id": run["run_id"]}
        assert (
            hub.call("POST", "model-versions/create", **sent)["model_version"]["source"] == source
        )
    for source in (f"{root}X", f"{root}/../x", f"{root}/%2e%2e/x", str(tmp_path)):
        sent = {"name": "local", "source": source, "run_id": run["run_id"]}
        assert refused(hub, "POST", "model-versions/create", sent)[0] == 400
    sent = {"name": "local", "source": f"{root}/model"}
    assert refused(hub, "POST", "model-versions/create", sent)[0] == 400


def test_a_logged_model_tells_the_versions_that_were_made_of_it(hub: mlflow.Server):
    info = hub.call("POST", "logged-models", experiment_id="0", name="lm")["model"]["info"]
    hub.call("POST", "registered-models/create", name="of-logged")
    sent = {
        "name": "of-logged", "source": f"models:/{info['model_id']}", "model_id": info["model_id"],
    }  # fmt: skip
    for _ in range(2):
        hub.call("POST", "model-versions/create", **sent)
    tags = hub.call("GET", f"logged-models/{info['model_id']}")["model"]["info"]["tags"]
    (told,) = [json.loads(tag["value"]) for tag in tags if tag["key"] == "mlflow.modelVersions"]
    assert told == [{"name": "of-logged", "version": 1}, {"name": "of-logged", "version": 2}]
    where = hub.call("GET", "model-versions/get-download-uri", name="of-logged", version="2")
    assert where == {"artifact_uri": info["artifact_uri"]}


def test_the_name_of_a_model_may_have_an_at_over_the_api(hub: mlflow.Server):
    hub.call("POST", "registered-models/create", name="a@b")
    hub.call("POST", "model-versions/create", name="a@b", source="s3://b/1")
    hub.call("POST", "registered-models/alias", name="a@b", alias="x", version="1")
    again = hub.call("POST", "model-versions/create", name="m", source="models:/a@b@x")
    assert again["model_version"]["source"] == "models:/a@b/1"
    hub.call(
        "DELETE", "model-versions/delete", name="m", version=again["model_version"]["version"]
    )


@pytest.fixture(scope="module")
def bundle(hub: mlflow.Server, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bundle in the store of the hub, which no version is yet."""
    made = tmp_path_factory.mktemp("made") / "bundle"
    trained.bundle(made)
    found = contents.read_folder(made)
    contents.keep(found, Cache(folder / "hub" / "objects" / "sha256", algorithm="sha256"))
    return found.id.removeprefix("sha256:")


def test_the_files_of_a_bundle_are_read_once_it_is_registered(
    hub: mlflow.Server, where: Path | str, bundle: str
):
    place = f"{TREE}/bundles/{bundle}"
    for path in (f"{place}/bundle.json", f"{TREE}?path=bundles/{bundle}", f"{TREE}/bundles/x/y"):
        assert hub.ask("GET", path).status == 404
    with open_ledger(where) as ledger:
        models.register(ledger, "ours", bundle=f"sha256:{bundle}")
    listed = hub.ask("GET", f"{TREE}?path=bundles/{bundle}").json()["files"]
    index = hub.ask("GET", f"{place}/bundle.json")
    assert index.json()["bundle"] == 1
    assert {one["path"] for one in listed} == {*index.json()["files"], "bundle.json"}
    for one in listed:
        assert len(hub.ask("GET", f"{place}/{one['path']}").body) == one["file_size"]
    assert hub.ask("GET", f"{place}/nothing").status == 404
    assert hub.ask("GET", f"{place}/../x").status == 400
    assert hub.ask("GET", place).status == 400
    for method in ("PUT", "DELETE"):
        assert hub.ask(method, f"{place}/golden.json", b"x").status == 400
    found = hub.call("GET", "model-versions/get-download-uri", name="ours", version="1")
    assert found == {"artifact_uri": f"mlflow-artifacts:/bundles/{bundle}"}


def test_a_registered_bundle_that_is_elsewhere_is_told(hub: mlflow.Server, where: Path | str):
    with open_ledger(where) as ledger:
        models.register(ledger, "elsewhere", bundle=f"sha256:{0:064}")
    found = hub.ask("GET", f"{TREE}/bundles/{0:064}/bundle.json")
    assert found.status == 404
    assert "registered, but not in the store of this hub" in found.json()["message"]
    assert hub.call("GET", "model-versions/get", name="elsewhere", version="1")
