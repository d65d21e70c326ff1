"""The registry of the hub, as MLflow's real client uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.bundle import contents
from assay.ledger import models
from assay.ledger.database import open_ledger
from assay.ledger.deployments import add_deployment
from assay.objects.cache import Cache
from tests import databases, mlflow

pytestmark = [pytest.mark.peer, mlflow.needs()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def where(request: pytest.FixtureRequest, folder: Path) -> Path | str:
    """The ledger of the hub: a file, and at full count a database."""
    if request.param == "sqlite":
        return folder / "hub" / "ledger.db"
    server: databases.Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture(scope="module")
def hub(folder: Path, where: Path | str) -> Iterator[mlflow.Server]:
    with mlflow.hub(folder, "--ledger", str(where)) as server:
        yield server


def refused(client: mlflow.Session, script: str, code: str, **arguments: Any) -> str:
    with pytest.raises(mlflow.Failed) as failed:
        client.run(script, **arguments)
    assert failed.value.code == code, failed.value
    return str(failed.value)


def test_a_model_is_created_described_renamed_found_and_deleted(client: mlflow.Session):
    given = client.run("""
made = client.create_registered_model("first", tags={"team": "ops"}, description="one")
client.update_registered_model("first", description="two")
client.set_registered_model_tag("first", "stage of life", "old")
client.delete_registered_model_tag("first", "team")
client.rename_registered_model("first", "second")
found = client.get_registered_model("second")
names = [one.name for one in client.search_registered_models("name = 'second'")]
both = [one.name for one in client.search_registered_models("name LIKE '%ir%'")]
give([made.tags, made.description, found.description, found.tags, names, both,
      found.latest_versions, found.aliases])
""")
    assert given == [
        {"team": "ops"}, "one", "two", {"stage of life": "old"}, ["second"], [], [], {},
    ]  # fmt: skip
    refused(client, "client.get_registered_model('first')", "RESOURCE_DOES_NOT_EXIST")
    refused(client, "client.create_registered_model('second')", "RESOURCE_ALREADY_EXISTS")
    refused(client, "client.create_registered_model('a/b')", "INVALID_PARAMETER_VALUE")
    client.run("client.delete_registered_model('second')")
    refused(client, "client.get_registered_model('second')", "RESOURCE_DOES_NOT_EXIST")


def test_versions_have_stages_aliases_and_tags(client: mlflow.Session):
    given = client.run("""
client.create_registered_model("v")
for number in range(3):
    client.create_model_version("v", f"s3://bucket/{number}", description=f"the {number}th",
                                tags={"n": str(number)})
client.transition_model_version_stage("v", "1", "Production")
client.transition_model_version_stage("v", 2, "production", archive_existing_versions=True)
client.set_registered_model_alias("v", "champion", "1")
client.set_registered_model_alias("v", "champion", 2)
client.set_registered_model_alias("v", "old", "1")
client.set_model_version_tag("v", "1", "k", "x" * 5000)
client.set_model_version_tag("v", key="l", value="1", stage="Production")
client.delete_model_version_tag("v", "2", "n")
client.update_model_version("v", "3", description="the last")
found = client.get_registered_model("v")
give([
    [(one.version, one.current_stage) for one in client.get_latest_versions("v")],
    [one.version for one in client.get_latest_versions("v", ["Production"])],
    found.aliases,
    client.get_model_version_by_alias("v", "champion").tags,
    len(client.get_model_version("v", "1").tags["k"]),
    client.get_model_version("v", "3").description,
    client.get_model_version_download_uri("v", "3"),
    sorted(one.version for one in client.search_model_versions("name = 'v'")),
    [one.version for one in client.search_model_versions("name = 'v' and tags.n = '0'")],
    list(client.search_model_versions("name = 'v' and version_number = 2")[0].aliases),
])
""")
    assert given == [
        [["1", "Archived"], ["2", "Production"], ["3", "None"]], ["2"],
        {"champion": "2", "old": "1"}, {"l": "1"}, 5000, "the last", "s3://bucket/2",
        ["1", "2", "3"], ["1"], ["champion"],
    ]  # fmt: skip
    client.run("""
client.delete_registered_model_alias("v", "never")
client.delete_model_version("v", "2")
client.delete_registered_model_alias("v", "old")
""")
    refused(client, "client.get_model_version('v', '2')", "RESOURCE_DOES_NOT_EXIST")
    refused(
        client, "client.get_model_version_by_alias('v', 'champion')", "INVALID_PARAMETER_VALUE"
    )
    refused(client, "client.set_registered_model_alias('v', 'v9', '1')", "INVALID_PARAMETER_VALUE")
    assert client.run('give(client.create_model_version("v", "s3://b/p").version)') == "4"


_TRAINED = """
import numpy, warnings
from sklearn.linear_model import LinearRegression
warnings.simplefilter("ignore")
X = numpy.array([[1.0], [2.0], [3.0]])
model = LinearRegression().fit(X, numpy.array([2.0, 4.0, 6.0]))
"""


def test_a_logged_model_is_registered_and_loaded_by_every_name(client: mlflow.Session):
    given = client.run(
        _TRAINED
        + """
mlflow.set_experiment("trained")
with mlflow.start_run() as run:
    mlflow.log_metric("rmse", 0.5)
    info = mlflow.sklearn.log_model(model, name="m", registered_model_name="loaded")
again = mlflow.register_model(f"runs:/{run.info.run_id}/m", "loaded")
third = mlflow.register_model(f"models:/{info.model_id}", "loaded")
copy = client.copy_model_version("models:/loaded/1", "copied")
client.set_registered_model_alias("loaded", "champion", "2")
client.transition_model_version_stage("loaded", "3", "Staging")
names = [f"runs:/{run.info.run_id}/m", f"models:/{info.model_id}", "models:/loaded/1",
         "models:/loaded@champion", "models:/loaded/latest", "models:/loaded/Staging",
         "models:/copied/1"]
answers = [float(mlflow.sklearn.load_model(name).predict([[10.0]])[0]) for name in names]
first = client.get_model_version("loaded", "1")
uris = [client.get_model_version_download_uri("loaded", n) for n in "123"]
logged = client.get_logged_model(info.model_id)
give([answers, [one.version for one in (again, third, copy)], first.run_id == run.info.run_id,
      first.source, uris, json.loads(logged.tags["mlflow.modelVersions"]), info.model_id,
      copy.source, copy.run_id == run.info.run_id])
"""
    )
    answers, versions, is_its_run, source, uris, told, model_id, copied, is_run_of_copy = given
    assert answers == [pytest.approx(20.0)] * 7
    assert [str(one) for one in versions] == ["2", "3", "1"]
    assert (is_its_run, is_run_of_copy) == (True, True)
    assert source == f"models:/{model_id}"
    assert len({uri.removesuffix("/") for uri in uris}) == 1
    assert uris[0].startswith("mlflow-artifacts:/")
    assert {(one["name"], str(one["version"])) for one in told} >= {
        ("loaded", "1"), ("loaded", "2"), ("loaded", "3"),
    }  # fmt: skip
    assert copied == "models:/loaded/1"


def test_a_source_that_belongs_to_another_run_is_refused(client: mlflow.Session):
    words = refused(
        client,
        """
client.create_registered_model("refused")
a, b = (client.create_run("0").info for _ in range(2))
client.create_model_version("refused", f"{a.artifact_uri}/m", run_id=b.run_id)
""",
        "INVALID_PARAMETER_VALUE",
    )
    assert "must identify the resource that contains the source" in words
    for source in ("/etc/passwd", "http://169.254.169.254/x", "s3://b/%252e%252e/x"):
        script = "client.create_model_version('refused', source, run_id='')"
        refused(client, script, "INVALID_PARAMETER_VALUE", source=source)
    assert client.run("give(len(client.search_model_versions(\"name = 'refused'\")))") == 0


def test_prompts_are_kept_beside_models_and_not_among_them(client: mlflow.Session):
    given = client.run("""
import mlflow.genai
first = mlflow.genai.register_prompt(name="hello", template="Say {{x}}", tags={"a": "b"})
second = mlflow.genai.register_prompt(name="hello", template="Say again {{x}}")
mlflow.genai.set_prompt_alias("hello", alias="prod", version=1)
found = mlflow.genai.load_prompt("prompts:/hello@prod")
mlflow.genai.delete_prompt_alias("hello", alias="prod")
give([
    [first.version, second.version], found.template, found.tags,
    [one.name for one in mlflow.genai.search_prompts()],
    [one.name for one in client.search_registered_models("name = 'hello'")],
])
""")
    assert given == [[1, 2], "Say {{x}}", {"a": "b"}, ["hello"], []]


def test_the_skinny_client_does_the_same(skinny: mlflow.Session):
    given = skinny.run("""
client.create_registered_model("thin")
client.create_model_version("thin", "s3://b/p")
client.set_registered_model_alias("thin", "a", "1")
give([client.get_model_version_by_alias("thin", "a").source,
      [one.name for one in client.search_registered_models("name = 'thin'")]])
""")
    assert given == ["s3://b/p", ["thin"]]


def test_a_thousand_models_come_in_pages(client: mlflow.Session, hub: mlflow.Server):
    for number in range(250):
        hub.call("POST", "registered-models/create", name=f"page-{number:03}")
    given = client.run("""
names, token = [], None
while True:
    page = client.search_registered_models("name LIKE 'page-%'", max_results=100,
                                           order_by=["name DESC"], page_token=token)
    names.append([one.name for one in page])
    token = page.token
    if not token:
        break
give(names)
""")
    assert [len(page) for page in given] == [100, 100, 50]
    assert [name for page in given for name in page] == [
        f"page-{n:03}" for n in range(249, -1, -1)
    ]


@pytest.fixture(scope="module")
def bundle(folder: Path, where: Path | str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bundle that Assay made, in the hub's store, as version 1 of 'ours'."""
    from tests.bundle import trained

    made = tmp_path_factory.mktemp("made") / "bundle"
    trained.bundle(made)
    found = contents.read_folder(made)
    contents.keep(found, Cache(folder / "hub" / "objects" / "sha256", algorithm="sha256"))
    with open_ledger(where) as ledger:
        models.register(ledger, "ours", bundle=found.id, tags={"metrics": '{"rmse":2.5}'})
        models.set_alias(ledger, "ours", "live", version=1)
    return found.id


def test_a_bundle_is_seen_tagged_and_downloaded_by_a_client(
    client: mlflow.Session, bundle: str, tmp_path: Path
):
    given = client.run(
        """
client.set_model_version_tag("ours", "1", "seen", "yes")
found = client.get_model_version_by_alias("ours", "live")
listed = [one.path for one in mlflow.artifacts.list_artifacts("models:/ours@live")]
place = mlflow.artifacts.download_artifacts("models:/ours/1", dst_path=target)
give([found.status, found.source, found.tags["seen"], found.run_id, sorted(listed), place])
""",
        target=str(tmp_path),
    )
    status, source, seen, run, listed, place = given
    assert (status, seen, run or "") == ("READY", "yes", "")
    assert source == f"mlflow-artifacts:/bundles/{bundle.removeprefix('sha256:')}"
    downloaded = contents.read_folder(Path(place))
    assert downloaded.id == bundle
    assert set(listed) == {*downloaded.files, "bundle.json"}


def test_what_an_endpoint_answers_with_is_not_deleted_by_a_client(
    client: mlflow.Session, bundle: str, where: Path | str
):
    with open_ledger(where) as ledger:
        add_deployment(ledger, "scores", version="ours/1")
    for script in ("client.delete_model_version('ours', '1')",
                   "client.delete_registered_model('ours')"):  # fmt: skip
        words = refused(client, script, "INVALID_PARAMETER_VALUE")
        assert "'scores' answers with ours/1" in words
        assert "deploy another version there first" in words
    assert client.run("give(client.get_registered_model('ours').aliases)") == {"live": "1"}
