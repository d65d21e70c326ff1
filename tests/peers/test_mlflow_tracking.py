"""The real clients of MLflow track experiments and runs with our hub."""

from __future__ import annotations

import itertools
import math

import pytest

from tests import mlflow

pytestmark = [pytest.mark.peer, mlflow.needs("mlflow")]

_numbers = itertools.count()


@pytest.fixture(params=["mlflow", "mlflow-skinny"])
def session(request: pytest.FixtureRequest, hub: mlflow.Server) -> mlflow.Session:
    """Each of the two clients, at each of the hubs."""
    assert hub.lives()
    if not mlflow.python(request.param).exists():
        pytest.skip(f"{request.param} is not in .peers: 'make test' installs it")
    found: mlflow.Session = request.getfixturevalue(
        "client" if request.param == "mlflow" else "skinny"
    )
    return found


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"experiment {next(_numbers)}"


def refused(session: mlflow.Session, script: str, **arguments: object) -> mlflow.Failed:
    with pytest.raises(mlflow.Failed) as raised:
        session.run(script, **arguments)
    return raised.value


def test_a_run_with_everything_reads_back_as_it_was_logged(session: mlflow.Session, name: str):
    found = session.run(
        """
mlflow.set_experiment(name)
with mlflow.start_run(run_name="first", tags={"team": "a"}, description="a note") as run:
    mlflow.log_param("lr", 0.1)
    mlflow.log_params({"layers": [8, 8], "seed": None, "text": "ü #?%"})
    mlflow.log_metric("loss", 0.5, step=3)
    mlflow.log_metrics({"a/b": 1, "val loss": -2.5}, step=-1)
    mlflow.set_tag("owner", "bob")
    mlflow.set_tags({"x": 1, "y": "z"})
again = client.get_run(run.info.run_id)
give({"status": again.info.status, "name": again.info.run_name,
      "stage": again.info.lifecycle_stage, "uri": again.info.artifact_uri,
      "experiment": again.info.experiment_id,
      "end": again.info.end_time >= again.info.start_time > 1600000000000,
      "id": again.info.run_id, "params": again.data.params, "metrics": again.data.metrics,
      "tags": again.data.tags})
""",
        name=name,
    )
    assert (found["status"], found["name"], found["stage"]) == ("FINISHED", "first", "active")
    assert found["end"]
    assert found["uri"] == f"mlflow-artifacts:/{found['experiment']}/{found['id']}/artifacts"
    assert found["params"] == {"lr": "0.1", "layers": "[8, 8]", "seed": "None", "text": "ü #?%"}
    assert found["metrics"] == {"loss": 0.5, "a/b": 1.0, "val loss": -2.5}
    tags = found["tags"]
    assert {key: tags[key] for key in ("team", "owner", "x", "y")} == {
        "team": "a", "owner": "bob", "x": "1", "y": "z",
    }  # fmt: skip
    assert tags["mlflow.runName"] == "first"
    assert tags["mlflow.note.content"] == "a note"
    assert {"mlflow.user", "mlflow.source.name", "mlflow.source.type"} <= set(tags)


def test_nested_runs_know_their_parent(session: mlflow.Session, name: str):
    parent, child, found = session.run(
        """
mlflow.set_experiment(name)
with mlflow.start_run() as parent:
    with mlflow.start_run(nested=True) as child:
        mlflow.log_metric("m", 1)
give([parent.info.run_id, child.info.run_id, client.get_parent_run(child.info.run_id).info.run_id])
""",
        name=name,
    )
    assert found == parent != child


def test_a_run_that_raises_has_failed(session: mlflow.Session, name: str):
    found = session.run(
        """
mlflow.set_experiment(name)
try:
    with mlflow.start_run() as run:
        raise ValueError
except ValueError:
    pass
give(client.get_run(run.info.run_id).info.status)
""",
        name=name,
    )
    assert found == "FAILED"


def test_a_run_goes_on(session: mlflow.Session, name: str):
    found = session.run(
        """
mlflow.set_experiment(name)
with mlflow.start_run() as run:
    mlflow.log_metric("m", 1, step=1)
with mlflow.start_run(run_id=run.info.run_id):
    during = client.get_run(run.info.run_id).info.status
    mlflow.log_metric("m", 2, step=2)
after = client.get_run(run.info.run_id)
give([during, after.info.status, after.data.metrics["m"],
      [m.value for m in client.get_metric_history(run.info.run_id, "m")]])
""",
        name=name,
    )
    assert found == ["RUNNING", "FINISHED", 2.0, [1.0, 2.0]]


def test_odd_numbers_are_read_back_as_they_were(session: mlflow.Session, name: str):
    found = session.run(
        """
mlflow.set_experiment(name)
with mlflow.start_run() as run:
    for step, value in enumerate([float("nan"), float("inf"), float("-inf"), 1e-320, -0.0, 1e308]):
        mlflow.log_metric("m", value, step=step)
    mlflow.log_metric("nan", float("nan"))
    mlflow.log_metric("inf", float("inf"))
metrics = client.get_run(run.info.run_id).data.metrics
give([[repr(m.value) for m in client.get_metric_history(run.info.run_id, "m")],
      repr(metrics["nan"]), repr(metrics["inf"])])
""",
        name=name,
    )
    history, nan, inf = found
    assert [float(text) for text in history[1:]] == [math.inf, -math.inf, 1e-320, 0.0, 1e308]
    assert (history[0], nan, inf) == ("nan", "nan", "inf")


def test_a_long_history_comes_in_pages(session: mlflow.Session, name: str):
    n_points, is_whole = session.run(
        """
from mlflow.entities import Metric
mlflow.set_experiment(name)
with mlflow.start_run() as run:
    for begin in range(0, 30_000, 1000):
        points = [Metric("m", i, i // 7, i) for i in range(begin, begin + 1000)]
        client.log_batch(run.info.run_id, points)
found = client.get_metric_history(run.info.run_id, "m")
give([len(found), [m.step for m in found] == list(range(30_000))])
""",
        name=name,
    )
    assert (n_points, is_whole) == (30_000, True)


def test_logging_in_the_background_loses_nothing(session: mlflow.Session, name: str):
    found = session.run(
        """
mlflow.set_experiment(name)
mlflow.config.enable_async_logging(True)
try:
    with mlflow.start_run() as run:
        for step in range(500):
            mlflow.log_metric("m", step, step=step)
            mlflow.log_param(f"p{step}", step)
    mlflow.flush_async_logging()
finally:
    mlflow.config.enable_async_logging(False)
data = client.get_run(run.info.run_id).data
give([len(client.get_metric_history(run.info.run_id, "m")), len(data.params), data.metrics["m"]])
""",
        name=name,
    )
    assert found == [500, 500, 499.0]


def test_experiments_are_made_renamed_tagged_deleted_and_restored(
    session: mlflow.Session, name: str
):
    found = session.run(
        """
id_ = client.create_experiment(name, tags={"a": "b"})
first = client.get_experiment(id_)
client.rename_experiment(id_, name + " new")
client.set_experiment_tag(id_, "c", "d")
client.delete_experiment_tag(id_, "a")
run = client.create_run(id_)
client.delete_experiment(id_)
deleted = client.get_experiment_by_name(name + " new")
gone = client.get_run(run.info.run_id).info.lifecycle_stage
client.restore_experiment(id_)
last = client.get_experiment(id_)
give({"first": [first.name, first.tags, first.artifact_location, first.lifecycle_stage],
      "deleted": deleted.lifecycle_stage, "gone": gone,
      "back": client.get_run(run.info.run_id).info.lifecycle_stage,
      "last": [last.name, last.tags, last.lifecycle_stage],
      "old": client.get_experiment_by_name(name), "id": id_,
      "default": client.get_experiment("0").name})
""",
        name=name,
    )
    assert found["first"] == [name, {"a": "b"}, f"mlflow-artifacts:/{found['id']}", "active"]
    assert (found["deleted"], found["gone"], found["back"]) == ("deleted", "deleted", "active")
    assert found["last"] == [f"{name} new", {"c": "d"}, "active"]
    assert found["old"] is None
    assert found["default"] == "Default"


def test_a_deleted_run_is_read_and_not_written(session: mlflow.Session, name: str):
    run = session.run(
        """
mlflow.set_experiment(name)
run = client.create_run(client.get_experiment_by_name(name).experiment_id)
client.delete_run(run.info.run_id)
give(run.info.run_id)
""",
        name=name,
    )
    script = "client.log_metric(run, 'm', 1)"
    failed = refused(session, script, run=run)
    assert failed.code == "INVALID_PARAMETER_VALUE"
    assert "must be in the 'active' state" in str(failed)
    restored = session.run(
        """
before = client.get_run(run).info.lifecycle_stage
client.restore_run(run)
client.log_metric(run, "m", 1)
give([before, client.get_run(run).info.lifecycle_stage, client.get_run(run).data.metrics])
""",
        run=run,
    )
    assert restored == ["deleted", "active", {"m": 1.0}]


def test_a_run_is_renamed_by_its_name_and_by_its_tag(session: mlflow.Session, name: str):
    found = session.run(
        """
mlflow.set_experiment(name)
run = client.create_run(client.get_experiment_by_name(name).experiment_id, run_name="a")
id_ = run.info.run_id
client.update_run(id_, name="b")
first = client.get_run(id_)
client.set_tag(id_, "mlflow.runName", "c")
second = client.get_run(id_)
client.set_tag(id_, "t", "1")
client.delete_tag(id_, "t")
give([run.info.run_name, first.info.run_name, first.data.tags["mlflow.runName"],
      second.info.run_name, "t" in client.get_run(id_).data.tags])
""",
        name=name,
    )
    assert found == ["a", "b", "b", "c", False]


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("client.get_run('f' * 32)", "RESOURCE_DOES_NOT_EXIST", "Run with id=f"),
        ("client.get_experiment('99999')", "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=9"),
        ("client.create_experiment('Default')", "RESOURCE_ALREADY_EXISTS", "already exists"),
        ("client.log_metric(run, 'a*b', 1)", "INVALID_PARAMETER_VALUE", "Names may only contain"),
        ("client.log_metric(run, 'k' * 1000, 1)", "INVALID_PARAMETER_VALUE", "250"),
        ("client.log_param(run, 'p', 'other')", "INVALID_PARAMETER_VALUE", "Changing param"),
        ("client.delete_tag(run, 'none')", "RESOURCE_DOES_NOT_EXIST", "No tag with name: none"),
        ("client.create_run('99999')", "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=9"),
    ],
)  # fmt: skip
def test_what_is_refused_has_the_code_that_mlflow_has(
    session: mlflow.Session, script: str, code: str, words: str
):
    run = session.run(
        "r = client.create_run('0').info.run_id; client.log_param(r, 'p', 'one'); give(r)"
    )
    failed = refused(session, script, run=run)
    assert failed.code == code
    assert words in str(failed)


def test_long_values_are_cut_as_by_mlflow(session: mlflow.Session):
    found = session.run("""
r = client.create_run("0").info.run_id
client.log_param(r, "p", "x" * 100_000)
client.set_tag(r, "t", "y" * 100_000)
data = client.get_run(r).data
give([len(data.params["p"]), len(data.tags["t"])])
""")
    assert found == [6000, 8000]


def test_two_clients_write_one_run(client: mlflow.Session, skinny: mlflow.Session):
    run = client.run("give(client.create_run('0').info.run_id)")
    for number, session in enumerate((client, skinny)):
        session.run(
            """
for step in range(50):
    client.log_metric(run, "shared", step, step=2 * step + number, timestamp=step)
client.log_param(run, f"of {number}", number)
client.set_tag(run, "last", str(number))
""",
            run=run,
            number=number,
        )
    found = client.run(
        """
data = client.get_run(run).data
give([data.params, data.tags["last"], len(client.get_metric_history(run, "shared"))])
""",
        run=run,
    )
    assert found == [{"of 0": "0", "of 1": "1"}, "1", 100]


def test_many_threads_of_one_client_lose_nothing(client: mlflow.Session):
    found = client.run("""
from concurrent.futures import ThreadPoolExecutor
run = client.create_run("0").info.run_id
def work(k):
    for step in range(25):
        client.log_metric(run, f"m{k}", step, step=step)
with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
give([len(client.get_metric_history(run, f"m{k}")) for k in range(8)])
""")
    assert found == [25] * 8
