"""Files and logged models are answered as by MLflow's own server: the same requests to both."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest

from tests import mlflow
from tests.api.filing import TREE, Files

pytestmark = [pytest.mark.peer, mlflow.needs()]


def _answer(server: mlflow.Server, method: str, path: str, body: Any = None) -> tuple[Any, ...]:
    found = server.ask(method, path, body)
    try:
        document = found.json()
    except ValueError:
        document = found.body
    code = document.get("error_code") if isinstance(document, dict) else None
    return found.status, code or document


@pytest.fixture(scope="module")
def both(hub: mlflow.Server, theirs: mlflow.Server) -> tuple[Files, Files]:
    """A run with files on each of the two servers."""
    pair = Files(hub), Files(theirs)
    for files in pair:
        for name in ("a.txt", "d/b.bin", "d/e/c", "empty", "a b"):
            files.ask("PUT", urllib.parse.quote(name), b"" if name == "empty" else name.encode())
    return pair


@pytest.mark.parametrize(
    "path",
    ["a.txt", "d/b.bin", "no", "d", "d/no", "", "a%20b", "empty", "../x", "%2e%2e/x",
     "%252e%252e/x", "a/%2e%2e/%2e%2e/x"],
)  # fmt: skip
def test_a_file_is_answered_as_by_mlflows_server(both: tuple[Files, Files], path: str) -> None:
    ours, theirs = (_answer(one.hub, "GET", f"{TREE}/{one.root}/{path}") for one in both)
    if (
        isinstance(theirs[1], dict) and "detail" in theirs[1]
    ):  # a form of its own for a folder; what we answer has a code
        theirs = theirs[0], "INVALID_PARAMETER_VALUE"
    assert ours == theirs


@pytest.mark.parametrize("folder", ["", "/d", "/d/", "/d/e", "/a.txt", "/no", "/a b", "/../../x"])
def test_a_folder_is_listed_as_by_mlflows_server(both: tuple[Files, Files], folder: str) -> None:
    asked = [
        _answer(one.hub, "GET", f"{TREE}?" + urllib.parse.urlencode({"path": one.root + folder}))
        for one in both
    ]
    for _, document in asked:
        if isinstance(document, dict):
            document.get("files", []).sort(key=lambda one: one["path"])
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    "header",
    ["content-type", "content-disposition", "x-content-type-options", "accept-ranges",
     "content-length"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["a.txt", "d/b.bin", "a%20b"])
def test_a_file_has_the_headers_of_mlflows_server(
    both: tuple[Files, Files], path: str, header: str
) -> None:
    ours, theirs = (one.ask("GET", path).headers.get(header) for one in both)
    assert ours == theirs


_MODELS = "/api/2.0/mlflow/logged-models"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"experiment_id": "0", "name": "a/b"}),
        ("POST", "", {"experiment_id": "0", "name": "a.b"}),
        ("POST", "", {"experiment_id": "77", "name": "a"}),
        ("POST", "", {"name": "a"}),
        ("GET", "/m-no", None),
        ("PATCH", "/m-no", {"status": "LOGGED_MODEL_READY"}),
        ("PATCH", "/MODEL", {}),
        ("DELETE", "/m-no", {}),
        ("PATCH", "/m-no/tags", {"tags": [{"key": "a", "value": "1"}]}),
        ("PATCH", "/MODEL/tags", {"tags": [{"key": "a", "value": "1"}]}),
        ("DELETE", "/MODEL/tags/no", {}),
        ("POST", "/MODEL/params", {"params": [{"key": "a", "value": "1"}]}),
        ("POST", "/MODEL/params", {"params": [{"key": "a", "value": "2"}]}),
        ("GET", "/m-no/artifacts/directories", None),
    ],
)
def test_logged_models_are_answered_as_by_mlflows_server(
    both: tuple[Files, Files], models: tuple[str, str], method: str, path: str, body: Any
) -> None:
    ours, theirs = (
        _of_model(one, id_, method, path, body) for one, id_ in zip(both, models, strict=True)
    )
    assert ours == theirs


def _of_model(files: Files, id_: str, method: str, path: str, body: Any) -> tuple[Any, ...]:
    """Ask as the client does: the id is in the body, too."""
    address = path.replace("MODEL", id_)
    if address and body is not None:
        body = body | {"model_id": address.split("/")[1]}
    return _answer(files.hub, method, _MODELS + address, body)


@pytest.fixture(scope="module")
def models(both: tuple[Files, Files]) -> tuple[str, str]:
    made = [
        one.hub.call("POST", "logged-models", experiment_id="0", name="m", model_type="t")["model"]
        for one in both
    ]
    assert _shape(made[0]) == _shape(made[1])
    return made[0]["info"]["model_id"], made[1]["info"]["model_id"]


def _shape(model: Any) -> Any:
    """Return a logged model without what differs by nature, and without fields that are empty."""
    varies = {"model_id", "creation_timestamp_ms", "last_updated_timestamp_ms", "artifact_uri"}
    info = {key: value for key, value in model["info"].items() if key not in varies and value}
    return info, model.get("data") or {}


_PLACES = [
    "/plain", "/a//b", "///x//y/", "/a/./b", "/./w", "/v/.", "rel/x", "/g%20h", "/g h", "/%61b",
    "/p%25q", "/p%2520q", "/ca%C3%A9", "/café", "/a%2Fb", "/k%3Fx", "/pct%", "/x%zz", "/e?x=1",
    "/e?", "/a//b/./g%20h?x=1", "/a;b/c", "/a:b", "/[x]", "/bundles-of-ours",
]  # fmt: skip
_IN_PLACES = """
import mlflow.pyfunc, pathlib, tempfile
class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return model_input
found = []
for place in places:
    place = "mlflow-artifacts:" + place
    number = client.create_experiment(f"{tag} {place}", artifact_location=place)
    with mlflow.start_run(experiment_id=number) as run:
        mlflow.log_text("1", "d/a.txt")
        id_ = run.info.run_id
    folder = tempfile.mkdtemp()
    mlflow.artifacts.download_artifacts(run_id=id_, dst_path=folder)
    one = pathlib.Path(client.download_artifacts(id_, "d/a.txt", tempfile.mkdtemp()))
    found.append([
        run.info.artifact_uri.replace(id_, "RUN").replace("///", "/"),
        [file.path for file in client.list_artifacts(id_)],
        [file.path for file in client.list_artifacts(id_, "d")],
        (pathlib.Path(folder) / "d" / "a.txt").read_text(), one.read_text(),
    ])
for place in models:
    mlflow.set_experiment(f"{tag} mlflow-artifacts:{place}")
    with mlflow.start_run() as run:
        info = mlflow.pyfunc.log_model(
            name="m", python_model=Constant(), registered_model_name="of odd places",
            pip_requirements=[])
    version = info.registered_model_version
    for name in (info.model_uri, f"models:/of odd places/{version}"):
        found.append(mlflow.pyfunc.load_model(name).predict(["1"]))
give(found)
"""


def test_an_experiment_keeps_its_files_in_any_place_where_mlflows_server_does(
    hub: mlflow.Server, theirs: mlflow.Server
) -> None:
    models = ["/a//b/./g%20h?x=1"]
    ours, of_theirs = (
        mlflow.client(one.url, _IN_PLACES, places=_PLACES, models=models, tag=hub.url)
        for one in (hub, theirs)
    )
    assert ours == of_theirs
    assert [one[1:] for one in ours[: len(_PLACES)]] == [[["d"], ["d/a.txt"], "1", "1"]] * len(
        _PLACES
    )
    assert ours[len(_PLACES) :] == [["1"]] * (2 * len(models))
