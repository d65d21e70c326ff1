"""The registry of the hub answers as that of MLflow's own server: the same calls to both.

Compared are status, code, message and body, up to ids, times, and the order of tags and aliases,
which MLflow's database leaves open. Where MLflow's server answers 500 to what will never heal, the
hub refuses with a 4xx: its client would repeat a 500 for minutes.
"""

from __future__ import annotations

import json
import random
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests import mlflow

pytestmark = [pytest.mark.peer, mlflow.needs()]

_TIMES = {"creation_timestamp", "last_updated_timestamp"}


class Call(NamedTuple):
    """One request; `{run}`, `{model}` and `{uri}` in a field stand for ids of the server."""

    method: str
    path: str
    fields: dict[str, Any]


class Side:
    """One of the two servers, with a run and a logged model of its own."""

    def __init__(self, server: mlflow.Server) -> None:
        self.server = server
        run = server.call("POST", "runs/create", experiment_id="0")["run"]["info"]
        model = server.call(
            "POST", "logged-models", experiment_id="0", name="lm", source_run_id=run["run_id"]
        )["model"]["info"]
        self.names = {
            "{run}": run["run_id"],
            "{run_uri}": run["artifact_uri"],
            "{model}": model["model_id"],
            "{model_uri}": model["artifact_uri"],
        }

    def answer(self, call: Call) -> tuple[int, Any]:
        """Send a request, and return what came back as far as the two servers can be compared."""
        text = json.dumps(call.fields)
        for name, value in self.names.items():
            text = text.replace(name, value)
        fields, path = json.loads(text), f"/api/2.0/mlflow/{call.path}"
        body: Any = fields
        if call.method == "GET":
            path, body = f"{path}?{urllib.parse.urlencode(fields, doseq=True)}", None
        found = self.server.ask(call.method, path, body)
        text = found.body.decode()
        for name, value in sorted(self.names.items(), key=lambda one: -len(one[1])):
            text = text.replace(value, name)
        return found.status, _comparable(json.loads(text))


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    if not isinstance(value, dict):
        return value
    left_out = _TIMES | {"sqlstate", "error_class"}
    found = {key: _comparable(one) for key, one in value.items() if key not in left_out}
    for key in ("tags", "aliases", "latest_versions", "model_versions"):
        if key in found:
            found[key] = sorted(found[key], key=json.dumps)
    if "message" in found:
        found["message"] = _sentence(found["message"])
    return found


def _sentence(message: str) -> str:
    """Return what a message says, without what only one of the servers can say."""
    message = re.sub(r"(already exists\.) Error: .*", r"\1", message, flags=re.DOTALL)
    message = re.sub(r"(for parameter '\w+' supplied:).*(Hint|Expected).*", r"\1", message)
    message = re.sub(r"(would connect to the host named in the URI).*", r"\1", message)
    return re.sub(r"(Invalid model version source:) '.*'(\. To use a local)", r"\1\2", message)


@pytest.fixture(scope="module")
def theirs(
    hub: mlflow.Server,  # a new one of ours has a new one beside it
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[mlflow.Server]:
    with mlflow.mlflow_server(tmp_path_factory.mktemp("theirs")) as server:
        yield server


@pytest.fixture(scope="module")
def both(hub: mlflow.Server, theirs: mlflow.Server) -> tuple[Side, Side]:
    return Side(hub), Side(theirs)


def check_alike(both: tuple[Side, Side], call: Call) -> int:
    """Send a request to both, compare the answers, and return our status."""
    ours, peers = (side.answer(call) for side in both)
    if peers[0] == 500:
        assert ours[0] in {400, 404}, (call, ours, peers)
    else:
        assert ours == peers, call
    return ours[0]


def post(path: str, **fields: Any) -> Call:
    return Call("POST", path, fields)


def get(path: str, **fields: Any) -> Call:
    return Call("GET", path, fields)


def patch(path: str, **fields: Any) -> Call:
    return Call("PATCH", path, fields)


def delete(path: str, **fields: Any) -> Call:
    return Call("DELETE", path, fields)


_LONG = "k" * 251
_TAG = {"key": "a b/c", "value": ""}
MODELS = [
    post("registered-models/create", name="m", tags=[_TAG, {"key": "k", "value": "1"}]),
    post("registered-models/create", name="m"),
    post("registered-models/create", name="a@b", description="d"),
    post("registered-models/create", name="twice", tags=[{"key": "k", "value": v} for v in "12"]),
    *(post("registered-models/create", name=name) for name in ("", " ", ".", "..", "a/b", "a:b")),
    post("registered-models/create"),
    post("registered-models/create", name=3),
    post("registered-models/create", name="x" * 300),
    post("registered-models/create", name="数 é"),
    post("registered-models/create", name="t", tags=[{"key": "a#", "value": ""}]),
    post("registered-models/create", name="t", tags=[{"key": "/a", "value": ""}]),
    post("registered-models/create", name="t", tags=[{"key": _LONG, "value": ""}]),
    post("registered-models/create", name="t", tags=[{"key": "k", "value": "v" * 100_001}]),
    post("registered-models/create", name="t", tags="x"),
    post("registered-models/create", name="t", description=3),
    get("registered-models/get", name="t"),
    get("registered-models/get"),
    get("registered-models/get", name="a/b"),
    get("registered-models/get", name="m", unknown="x"),
    patch("registered-models/update", name="a@b"),
    patch("registered-models/update", name="a@b", description="new"),
    patch("registered-models/update", name="nope", description="new"),
    get("registered-models/get", name="a@b"),
    *(post("registered-models/rename", name="m", new_name=name) for name in ("m", "a@b", "a/b")),
    post("registered-models/rename", name="m", new_name=" "),
    post("registered-models/rename", name="m"),
    post("registered-models/rename", name="nope", new_name="other"),
    post("registered-models/rename", name="m", new_name="renamed"),
    get("registered-models/get", name="renamed"),
    delete("registered-models/delete", name="nope"),
    delete("registered-models/delete"),
    delete("registered-models/delete", name="renamed"),
    delete("registered-models/delete", name="renamed"),
    post("registered-models/create", name="renamed"),
    get("registered-models/get-latest-versions", name="renamed"),
    get("registered-models/alias", name="renamed", alias="latest"),
]


def test_models_are_made_named_and_deleted_alike(both: tuple[Side, Side]):
    for call in MODELS:
        check_alike(both, call)


VERSIONS = [
    post("registered-models/create", name="v"),
    post("model-versions/create", name="v", source="s3://b/p"),
    post(
        "model-versions/create", name="v", source="s3://b/p", run_id="elsewhere", run_link="http://l",
        description="D", tags=[{"key": "k", "value": "v"}, {"key": "a", "value": ""}],
    ),
    post("model-versions/create", name="v", source="s3://b/p", run_id="{run}"),
    post("model-versions/create", name="v", source="s3://b/p", tags=[{"key": "#", "value": ""}]),
    post("model-versions/create", name="nope", source="s3://b/p"),
    post("model-versions/create", name="v"),
    post("model-versions/create", source="s3://b/p"),
    post("model-versions/create", name="v", source=""),
    post("model-versions/create", name="v", source="s3://b/p", model_id="m-nope"),
    *(get("model-versions/get", name="v", version=one) for one in ("1", "2", " 3 ", "+3", "0_3")),
    *(get("model-versions/get", name="v", version=one) for one in ("4", "-1", "x", "1.0", "")),
    get("model-versions/get", name="v", version="9" * 30),
    get("model-versions/get", name="nope", version="1"),
    get("model-versions/get", name="v"),
    patch("model-versions/update", name="v", version="1", description="dd"),
    patch("model-versions/update", name="v", version="1"),
    patch("model-versions/update", name="v", version="1", description=""),
    patch("model-versions/update", name="v", version=1, description=""),
    patch("model-versions/update", name="v", version="9", description=""),
    get("model-versions/get-download-uri", name="v", version="1"),
    get("model-versions/get-download-uri", name="v", version="9"),
    get("model-versions/get-download-uri", name="v"),
    get("model-versions/get-download-uri"),
    post("model-versions/transition-stage", name="v", version="1", stage="production"),
    post("model-versions/transition-stage", name="v", version="3", stage="Production"),
    get("registered-models/get", name="v"),
    post(
        "model-versions/transition-stage", name="v", version="2", stage="Production",
        archive_existing_versions=True,
    ),
    post(
        "model-versions/transition-stage", name="v", version="2", stage="None",
        archive_existing_versions=True,
    ),
    post(
        "model-versions/transition-stage", name="v", version="9", stage="Staging",
        archive_existing_versions=True,
    ),
    post("model-versions/transition-stage", name="v", version="2", stage="bogus"),
    post("model-versions/transition-stage", name="v", version="2"),
    *(get("model-versions/get", name="v", version=one) for one in "123"),
    get("registered-models/get-latest-versions", name="v"),
    post("registered-models/get-latest-versions", name="v"),
    post("registered-models/get-latest-versions", name="v", stages=["production", "Staging"]),
    get("registered-models/get-latest-versions", name="v", stages=["archived", "None"]),
    get("registered-models/get-latest-versions", name="v", stages=["bogus"]),
    get("registered-models/get-latest-versions", name="nope"),
    *(post("registered-models/alias", name="v", alias=one, version="1") for one in "ab3"),
    post("registered-models/alias", name="v", alias="a", version="2"),
    *(
        post("registered-models/alias", name="v", alias=one, version="2")
        for one in ("v3", "V3", "Latest", "a b", "", "x" * 256, "é")
    ),
    post("registered-models/alias", name="v", alias="q", version="9"),
    post("registered-models/alias", name="v", alias="q", version="x"),
    post("registered-models/alias", name="nope", alias="q", version="1"),
    post("registered-models/alias", name="v", alias="q"),
    *(get("registered-models/alias", name="v", alias=one) for one in ("a", "LATEST", "no", "a b")),
    get("registered-models/alias", name="nope", alias="a"),
    get("registered-models/get", name="v"),
    *(delete("registered-models/alias", name="v", alias=one) for one in ("b", "b", "a b")),
    delete("registered-models/alias", name="nope", alias="b"),
    post("registered-models/set-tag", name="v", key="k", value="v"),
    post("registered-models/set-tag", name="v", key="k"),
    post("registered-models/set-tag", name="v", value="k"),
    post("registered-models/set-tag", name="v", key="k", value=3),
    post("registered-models/set-tag", name="nope", key="k", value="v"),
    post("model-versions/set-tag", name="v", version="1", key="k", value="v"),
    post("model-versions/set-tag", name="v", version="1", key="a#", value="v"),
    post("model-versions/set-tag", name="v", version="9", key="k", value="v"),
    *(delete("registered-models/delete-tag", name="v", key=one) for one in ("k", "k", "#")),
    delete("registered-models/delete-tag", name="nope", key="k"),
    delete("registered-models/delete-tag", name="v"),
    *(delete("model-versions/delete-tag", name="v", version="1", key=one) for one in ("k", "k")),
    delete("model-versions/delete-tag", name="v", version="9", key="k"),
    *(delete("model-versions/delete", name="v", version=one) for one in ("2", "2", "x", "3")),
    get("registered-models/get", name="v"),
    post("model-versions/create", name="v", source="s3://b/p"),
    post("registered-models/rename", name="v", new_name="w"),
    *(get("model-versions/get", name="w", version=one) for one in ("1", "2", "4")),
    delete("registered-models/delete", name="w"),
    post("registered-models/create", name="w"),
    post("model-versions/create", name="w", source="s3://b/p"),
]  # fmt: skip


def test_versions_are_made_staged_named_and_deleted_alike(both: tuple[Side, Side]):
    for call in VERSIONS:
        check_alike(both, call)


SOURCES = [
    "http://h/x", "https://h/api/2.0/mlflow-artifacts/artifacts/1", "HTTP://h/p", "ftp://h/x",
    "sftp://h/x", "hdfs://h/x", "abfss://a@b.c/d", "mlflow-artifacts://host:1/x",
    "mlflow-artifacts:/1/2/artifacts/x", "/etc/passwd", "file:///etc/passwd", "relative/path",
    "..", "a/../b", "dummy-source", "s3://b/../x", "s3://b/%2e%2e/x", "s3://b/%252e%252e/x",
    "s3:/b/x", "s3://b/a//b", "s3://b/a/./b", "s3://b/x%00", "s3://b/x y", "s3://b/x?v=1", "s3://b/p#f",
    "s3://b", "s3://b/a/", "S3://b/p", "gs://b/x", "wasbs://c@a.blob.core.windows.net/p",
    "dbfs:/x", "weird:thing", "runs:/{run}/model", "runs:/{run}", "runs:/nope/model", "runs:/",
    "runs://host/{run}/m", "models:/s/1", "models:/s/99999", "models:/nope/1", "models:/s@a",
    "models:/s@x", "models:/s/latest", "models:/s/LATEST", "models:/s/Production",
    "models:/s/production", "models:/s/Staging", "models:/s/bogus", "models:/", "models:/s/1/2",
    "models:/@a", "models:/s@", "models:/m-nope", "models:/{model}", "models://h/{model}",
    "models:/{model}/", "{run_uri}/model", "{run_uri}", "{run_uri}X", "{model_uri}",
    "{model_uri}/data", "mlflow-artifacts:/", "prompts:/s/1",
]  # fmt: skip


def test_a_version_is_made_of_the_same_sources(both: tuple[Side, Side]):
    check_alike(both, post("registered-models/create", name="s"))
    first = post("model-versions/create", name="s", source="s3://b/first", run_id="elsewhere")
    check_alike(both, first)
    check_alike(both, post("registered-models/alias", name="s", alias="a", version="1"))
    moved = post("model-versions/transition-stage", name="s", version="1", stage="Production")
    check_alike(both, moved)
    number = 1
    named: list[dict[str, str]] = [
        {},
        {"run_id": "{run}"},
        {"model_id": "{model}"},
        {"run_id": ""},
    ]
    named += [{"run_id": "{run}", "model_id": "{model}"}, {"run_id": "nope", "model_id": ""}]
    for source in SOURCES:
        for ids in named:
            call = post("model-versions/create", name="s", source=source, **ids)
            if check_alike(both, call) == 200:
                number += 1
                asked = get("model-versions/get-download-uri", name="s", version=str(number))
                check_alike(both, asked)
    assert number > 50


def test_a_prompt_is_a_model_that_is_made_of_nothing(both: tuple[Side, Side]):
    tag = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    text = {"key": "mlflow.prompt.text", "value": "Say {{ x }}"}
    for call in (
        post("registered-models/create", name="p", tags=tag),
        post("registered-models/create", name="p", tags=tag),
        post("registered-models/create", name="p"),
        post("registered-models/create", name="no-prompt"),
        post("registered-models/create", name="no-prompt", tags=tag),
        post("model-versions/create", name="p", source="dummy-source", tags=[*tag, text]),
        post("model-versions/create", name="p", source="s3://b/p", tags=tag),
        post("model-versions/create", name="no-prompt", source="models:/p/1"),
        get("model-versions/get", name="p", version="1"),
        get("registered-models/get", name="p"),
    ):
        check_alike(both, call)


def drawn(draw: random.Random, n_calls: int) -> list[Call]:
    """Return calls on few models, so that most meet what others did."""

    def model() -> str:
        return draw.choice(["one", "two", "three", "two", "one", "a@b"])

    def version() -> dict[str, str]:
        return {"name": model(), "version": draw.choice("1112223345")}

    def alias() -> str:
        return draw.choice(["prod", "dev", "3", "latest"])

    def tag() -> dict[str, str]:
        return {"key": draw.choice(["k", "l", "a/b", "#"]), "value": draw.choice(["", "1", "é"])}

    def source() -> str:
        return draw.choice(["s3://b/p", "s3://b/q", "models:/two/1", "models:/one@prod", "/x"])

    ways: list[Callable[[], Call]] = [
        lambda: post("registered-models/create", name=model(), tags=[tag()]),
        lambda: post("registered-models/create", name=model(), description="d"),
        lambda: get("registered-models/get", name=model()),
        lambda: patch("registered-models/update", name=model(), description=draw.choice("ab")),
        lambda: post("registered-models/set-tag", name=model(), **tag()),
        lambda: delete("registered-models/delete-tag", name=model(), key=tag()["key"]),
        lambda: post("registered-models/alias", **version(), alias=alias()),
        lambda: post("registered-models/alias", **version(), alias=alias()),
        lambda: delete("registered-models/alias", name=model(), alias=alias()),
        lambda: get("registered-models/alias", name=model(), alias=alias()),
        lambda: get("registered-models/get-latest-versions", name=model()),
        *[lambda: post("model-versions/create", name=model(), source=source())] * 3,
        lambda: post("model-versions/create", name=model(), source="s3://b/p", tags=[tag()]),
        lambda: post(
            "model-versions/create", name=model(), source="models:/{model}", model_id="{model}"
        ),
        lambda: get("model-versions/get", **version()),
        lambda: get("model-versions/get-download-uri", **version()),
        lambda: patch("model-versions/update", **version(), description=draw.choice("ab")),
        lambda: post("model-versions/set-tag", **version(), **tag()),
        lambda: delete("model-versions/delete-tag", **version(), key=tag()["key"]),
        lambda: post(
            "model-versions/transition-stage",
            **version(),
            stage=draw.choice(["None", "staging", "Production", "Archived", "x"]),
            archive_existing_versions=draw.choice([True, False]),
        ),
        lambda: delete("model-versions/delete", **version()),
        lambda: post("registered-models/rename", name=model(), new_name=model()),
    ]
    rare: list[Callable[[], Call]] = [lambda: delete("registered-models/delete", name=model())]
    return [draw.choice(ways if draw.random() < 0.98 else rare)() for _ in range(n_calls)]


@pytest.mark.parametrize("seed", range(3))
def test_two_hundred_drawn_calls_are_answered_alike(both: tuple[Side, Side], seed: int):
    calls = drawn(random.Random(seed), 200)
    for name in ("one", "two", "three", "a@b"):
        both[0].answer(delete("registered-models/delete", name=name))
        both[1].answer(delete("registered-models/delete", name=name))
    answers = [check_alike(both, call) for call in calls]
    assert answers.count(200) > 60, "the draw meets too little"
    for name in ("one", "two", "three", "a@b"):
        check_alike(both, get("registered-models/get", name=name))
