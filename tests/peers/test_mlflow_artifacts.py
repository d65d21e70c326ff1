"""The real client of MLflow keeps files, models and data sets on the hub, and gets them back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import make, mlflow
from tests.api.filing import TREE, Files
from tests.objects.remotes.servers import free_port

pytestmark = [pytest.mark.peer, mlflow.needs()]

_PARTS = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "5000000",
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "2000000",
}

_TREE = """
import pathlib, tempfile
folder = pathlib.Path(tempfile.mkdtemp())
def tree(of):
    files = [path for path in pathlib.Path(of).rglob("*") if path.is_file()]
    return {path.relative_to(of).as_posix(): path.read_bytes().decode() for path in files}
"""


def test_what_is_logged_is_listed_and_downloaded(client: mlflow.Session) -> None:
    listed, got, one = client.run(
        _TREE
        + """
for name, text in {"a.txt": "1", "empty": "", "d/b c.bin": "2", "d/e/ä.csv": "3"}.items():
    path = folder / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "in" / "a.txt"))
    mlflow.log_artifact(str(folder / "in" / "a.txt"), "deep/er")
    mlflow.log_artifacts(str(folder / "in"), "all")
    mlflow.log_text("text", "t/text.txt")
    mlflow.log_dict({"a": [1, 2]}, "t/dict.json")
    mlflow.log_dict({"a": [1, 2]}, "t/dict.yaml")
    mlflow.log_text("", "nothing.txt")
id = run.info.run_id
listed = {}
def walk(path):
    for info in client.list_artifacts(id, path):
        listed[info.path] = None if info.is_dir else info.file_size
        info.is_dir and walk(info.path)
walk(None)
(folder / "out").mkdir()
everything = mlflow.artifacts.download_artifacts(run_id=id, dst_path=str(folder / "out"))
one = mlflow.artifacts.download_artifacts(artifact_uri=f"runs:/{id}/all/d/b c.bin")
give([listed, tree(everything), open(one).read()])
"""
    )
    assert got == {
        "a.txt": "1", "deep/er/a.txt": "1", "all/a.txt": "1", "all/empty": "",
        "all/d/b c.bin": "2", "all/d/e/ä.csv": "3", "t/text.txt": "text",
        "t/dict.json": '{\n  "a": [\n    1,\n    2\n  ]\n}', "t/dict.yaml": "a:\n- 1\n- 2\n",
        "nothing.txt": "",
    }  # fmt: skip
    folders = {"all", "all/d", "all/d/e", "deep", "deep/er", "t"}
    sizes = {path: len(text.encode()) or None for path, text in got.items()}
    assert listed == dict.fromkeys(folders) | sizes
    assert one == "2"


def test_tables_figures_and_pictures_come_back(client: mlflow.Session) -> None:
    found = client.run(
        """
import numpy, PIL.Image
with mlflow.start_run() as run:
    mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "table.json")
    mlflow.log_table({"x": [3], "y": ["c"]}, "table.json")
    mlflow.log_image(PIL.Image.fromarray(numpy.zeros((2, 3), dtype="uint8")), "picture.png")
    mlflow.log_image(numpy.zeros((2, 3, 3), dtype="uint8"), key="dog", step=1)
    try:
        import matplotlib.figure
        mlflow.log_figure(matplotlib.figure.Figure(), "figure.png")
    except ImportError:
        pass
table = mlflow.load_table("table.json", run_ids=[run.info.run_id])
picture = mlflow.artifacts.load_image(f"{run.info.artifact_uri}/picture.png")
names = [info.path for info in client.list_artifacts(run.info.run_id)]
images = client.list_artifacts(run.info.run_id, "images")
give([table.to_dict("list"), picture.size, names, len(images)])
"""
    )
    assert found[0] == {"x": [1, 2, 3], "y": ["a", "b", "c"]}
    assert found[1] == [3, 2]
    assert {"images", "picture.png", "table.json"} <= set(found[2])
    assert found[3] >= 2


_NAMES = [
    "plain.txt", "a b", "ä.txt", "100%", "a%zz", "p q", "p%20q", "h", "h#1", "h#2", "q?x", "why",
    "why?", "Model:1", "model:1", "a+b&c=d", " lead", "x", "x;", "~t", "file:z", "a\\b", "%41",
    "A", "\uff0523", "#", "[::1", "tab\tname", "d?x/y#z/100%",
]  # fmt: skip


def test_any_name_that_somebody_kept_is_downloaded(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    files = Files(hub)
    for name in _NAMES:
        files.put(name, name.encode())
    got = client.run(
        _TREE
        + "give(tree(mlflow.artifacts.download_artifacts(run_id=run, dst_path=str(folder))))",
        run=files.run,
    )
    assert sorted(got.values()) == sorted(_NAMES)
    as_it_is = [name for name, text in got.items() if name == text]
    assert {"plain.txt", "a b", "ä.txt", "100%", "h", "q?x", "A", "a\\b"} <= set(as_it_is)


def test_names_that_the_client_cuts_are_as_with_mlflows_server(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    run = client.run(
        _TREE
        + """
with mlflow.start_run() as run:
    for name in ["h#1", "q?x", "p%20q", "100%", "why?", "plot#1.png"]:
        (folder / name).write_text(name)
        mlflow.log_artifact(str(folder / name))
    (folder / "plot#2.png").write_text("another")
    try:
        mlflow.log_artifact(str(folder / "plot#2.png"))
    except Exception as error:
        give([run.info.run_id, str(error)])
"""
    )
    query = urllib.parse.urlencode({"run_id": run[0]})
    found = hub.ask("GET", f"/api/2.0/mlflow/artifacts/list?{query}").json()["files"]
    assert [one["path"] for one in found] == ["100%", "h", "p q", "plot", "q?x", "why"]
    assert "whose name was cut" in run[1]
    assert hub.ask("GET", f"{TREE}/0/{run[0]}/artifacts/plot").body == b"plot#1.png"


def test_what_assay_kept_an_mlflow_client_reads(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    files = Files(hub)
    files.put("plots/a.json", b'{"a": 1}')
    got = client.run(
        'give(mlflow.artifacts.load_dict(f"runs:/{run}/plots/a.json"))', run=files.run
    )
    assert got == {"a": 1}


def test_artifacts_are_deleted(hub: mlflow.Server, client: mlflow.Session) -> None:
    files = Files(hub)
    for name in ("a", "d/b", "d/c"):
        files.put(name, b"x")
    client.run(
        """
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
repository = get_artifact_repository(f"mlflow-artifacts:/{root}")
repository.delete_artifacts("d")
""",
        root=files.root,
    )
    assert [one["path"] for one in files.list()] == ["a"]


def test_what_is_missing_or_climbs_out_is_an_error_of_mlflows(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    files = Files(hub)
    files.put("a", b"x")
    for path in ("no", "../x", "%2e%2e/x"):
        with pytest.raises(mlflow.Failed):
            client.run(
                "mlflow.artifacts.download_artifacts(run_id=run, artifact_path=path)",
                run=files.run, path=path,
            )  # fmt: skip
    for path in ("../x", "a/../../x", "/x"):
        with pytest.raises(mlflow.Failed):
            client.run("client.log_text(run, 'x', path)", run=files.run, path=path)
    assert [one["path"] for one in files.list()] == ["a"]


def test_skinny_keeps_files_too(skinny: mlflow.Session) -> None:
    got = skinny.run(
        _TREE
        + """
(folder / "a").write_text("1")
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "a"), "d")
    mlflow.log_text("2", "b.txt")
give(tree(mlflow.artifacts.download_artifacts(run_id=run.info.run_id)))
"""
    )
    assert got == {"d/a": "1", "b.txt": "2"}


@pytest.fixture
def in_parts(hub: mlflow.Server) -> Iterator[mlflow.Session]:
    """A client that uploads in parts what is larger than 5 MB."""
    with mlflow.session(hub.url, env=_PARTS) as opened:
        yield opened


def test_a_large_file_goes_in_parts(hub: mlflow.Server, in_parts: mlflow.Session) -> None:
    run, digest = in_parts.run(
        _TREE
        + """
import hashlib
content = os.urandom(7_000_001)
(folder / "h#1.bin").write_bytes(content)
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "h#1.bin"), "d")
give([run.info.run_id, hashlib.sha256(content).hexdigest()])
"""
    )
    found = hub.ask("GET", f"{TREE}/0/{run}/artifacts/d/h%231.bin").body
    assert hashlib.sha256(found).hexdigest() == digest
    assert "mpu/part" in hub.ask("GET", "/metrics").body.decode()


def test_parts_are_sent_with_the_token(tmp_path: Path) -> None:
    env = _PARTS | {"MLFLOW_TRACKING_TOKEN": "secret-token-of-the-team"}
    with mlflow.hub(tmp_path, env={"ASSAY_TOKEN": "secret-token-of-the-team"}) as hub:
        size = mlflow.client(
            hub.url,
            _TREE
            + """
(folder / "f").write_bytes(bytes(6_000_000))
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "f"))
file = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="f")
give(os.path.getsize(file))
""",
            env=env,
        )
        assert size == 6_000_000
        assert hub.ask("GET", "/metrics").status == 401


_FIT = """
import numpy as np
from sklearn.linear_model import LogisticRegression
X = np.arange(20.0).reshape(10, 2); y = np.arange(10) % 2
model = LogisticRegression().fit(X, y)
def same(other):
    return bool((other.predict(X) == model.predict(X)).all())
"""


def test_a_model_is_loaded_by_each_of_its_names(client: mlflow.Session) -> None:
    found = client.run(
        _FIT
        + """
mlflow.set_experiment("models")
with mlflow.start_run() as run:
    mlflow.log_param("lr", 1)
    mlflow.log_metric("loss", 0.5, step=0)
    mlflow.log_metric("late", 0.5, step=3)
    info = mlflow.sklearn.log_model(model, name="clf", input_example=X[:2],
                                    registered_model_name="boats")
client.set_registered_model_alias("boats", "champion", 1)
names = [f"runs:/{run.info.run_id}/clf", f"models:/{info.model_id}", info.model_uri,
         "models:/boats/1", "models:/boats@champion", "models:/boats/latest"]
loaded = [same(mlflow.sklearn.load_model(name)) for name in names]
generic = same(mlflow.pyfunc.load_model("models:/boats@champion"))
logged = mlflow.get_logged_model(info.model_id)
again = client.get_run(run.info.run_id)
metrics = sorted((m.key, m.step, m.run_id == run.info.run_id) for m in logged.metrics)
give([loaded, generic, logged.status.value, logged.params,
      logged.source_run_id == run.info.run_id, metrics, logged.tags["mlflow.modelVersions"],
      [o.model_id == info.model_id for o in again.outputs.model_outputs],
      sorted(i.path for i in client.list_logged_model_artifacts(info.model_id))])
"""
    )
    assert all(found[0])
    assert found[1] is True
    assert found[2:5] == ["READY", {"lr": "1"}, True]
    assert found[5] == [["loss", 0, True]]
    assert '"boats"' in found[6]
    assert found[7] == [True]


def test_a_logged_model_is_told_changed_and_deleted(client: mlflow.Session) -> None:
    found = client.run(
        """
model = mlflow.create_external_model(
    name="ext", model_type="agent", params={"a": "1"}, tags={"t": "x"})
mlflow.set_logged_model_tags(model.model_id, {"u": 2})
mlflow.delete_logged_model_tag(model.model_id, "t")
mlflow.log_model_params({"b": "2"}, model_id=model.model_id)
with mlflow.start_run() as run:
    mlflow.log_metric("f1", 0.5, step=1, model_id=model.model_id)
    client.log_inputs(run.info.run_id, models=[mlflow.entities.LoggedModelInput(model.model_id)])
found = mlflow.get_logged_model(model.model_id)
inputs = client.get_run(run.info.run_id).inputs.model_inputs
client.delete_logged_model(model.model_id)
try:
    mlflow.get_logged_model(model.model_id)
except Exception as error:
    give([found.name, found.model_type, found.status.value, found.params, found.tags.get("u"),
          "t" in found.tags, [(m.key, m.value, m.step) for m in found.metrics],
          [i.model_id == model.model_id for i in inputs], error.error_code])
"""
    )
    assert found == [
        "ext", "agent", "READY", {"a": "1", "b": "2"}, "2", False, [["f1", 0.5, 1]], [True],
        "RESOURCE_DOES_NOT_EXIST",
    ]  # fmt: skip


def test_autolog_keeps_model_params_and_metrics(client: mlflow.Session) -> None:
    found = client.run(
        """
mlflow.sklearn.autolog()
"""
        + _FIT
        + """
run = mlflow.last_active_run()
mlflow.sklearn.autolog(disable=True)
run = client.get_run(run.info.run_id)
(output,) = run.outputs.model_outputs
loaded = mlflow.sklearn.load_model(f"models:/{output.model_id}")
names = [info.path for info in client.list_artifacts(run.info.run_id)]
give([run.info.status, run.data.params["solver"],
      "training_accuracy_score" in run.data.metrics, same(loaded),
      run.data.tags["estimator_name"],
      [d.dataset.name for d in run.inputs.dataset_inputs], names])
"""
    )
    assert found[:5] == ["FINISHED", "lbfgs", True, True, "LogisticRegression"]
    assert found[5] == ["dataset"]
    assert {"estimator.html", "training_roc_curve.png"} <= set(found[6])


def test_a_pandas_data_set_is_an_input(client: mlflow.Session) -> None:
    found = client.run(
        """
import pandas as pd
frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
data = mlflow.data.from_pandas(frame, source="a.csv", name="wine", targets="y")
with mlflow.start_run() as run:
    for _ in range(2):
        mlflow.log_input(data, context="train", tags={"a": "1"})
    mlflow.log_metric("auc", 0.5, dataset=data)
(found,) = client.get_run(run.info.run_id).inputs.dataset_inputs
filter = "dataset.name = 'wine' and dataset.context = 'train'"
hits = mlflow.search_runs(filter_string=filter, output_format="list")
one = found.dataset
give([one.name, one.digest == data.digest, one.source_type, json.loads(one.source),
      json.loads(one.profile), "mlflow_colspec" in json.loads(one.schema),
      {tag.key: tag.value for tag in found.tags},
      [hit.info.run_id == run.info.run_id for hit in hits]])
"""
    )
    assert found == [
        "wine", True, "local", {"uri": "a.csv"}, {"num_rows": 2, "num_elements": 4}, True,
        {"mlflow.data.context": "train", "a": "1"}, [True],
    ]  # fmt: skip


# -- the same requests to both servers --------------------------------------------------------


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


def test_the_project_shows_what_a_client_kept_and_the_client_what_the_project_kept(
    project: Path,
) -> None:
    port = free_port()
    command = make.command("hub", "--port", str(port))
    with contextlib.ExitStack() as stack:
        hub = mlflow.start(command, project, port=port)
        stack.callback(hub.kill)
        hub.wait()
        run = mlflow.client(
            hub.url,
            "with mlflow.start_run() as run:\n"
            "    mlflow.log_text('a', 'd/a.txt')\n"
            "give(run.info.run_id)",
        )
        shown = json.loads(make.done(project, "runs", "show", run, "--json"))["run"]
        script = (
            "import assay, pathlib\n"
            "pathlib.Path('h#1').write_text('ours')\n"
            "with assay.run(name='n') as run:\n"
            "    assay.log_artifact('h#1')\n"
            "print(run.id)\n"
        )
        ours = subprocess.run(
            [sys.executable, "-c", script], cwd=project, check=True, capture_output=True, text=True
        ).stdout.strip()
        found = Files(hub, run=ours)
        assert [one["path"] for one in found.list()] == ["h#1"]
        assert found.get("h#1") == b"ours"
    assert [one["path"] for one in shown["artifacts"]] == ["d/a.txt"]
    oid = shown["artifacts"][0]["oid"].removeprefix("sha256:")
    assert oid == hashlib.sha256(b"a").hexdigest()
    assert (project / ".assay/objects/sha256" / oid[:2] / oid[2:]).read_bytes() == b"a"
