"""Files of runs and logged models: where a path leads, what a folder holds, what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound, Taken
from assay.ledger import artifacts, logged, tables
from assay.ledger.artifacts import Place
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from assay.objects.cache import Stored

A, B = Stored("a" * 64, 1), Stored("b" * 64, 2)


def put(ledger: Ledger, path: str, stored: Stored = A, *, replace: bool = True) -> None:
    with ledger.write() as connection:
        place = artifacts.find(connection, path)
        artifacts.put(connection, place, stored, at=5, replace=replace)


def delete(ledger: Ledger, path: str) -> int:
    with ledger.write() as connection:
        return artifacts.delete(connection, artifacts.find(connection, path), at=5)


def listed(ledger: Ledger, path: str) -> list[tuple[str, int | None]]:
    with ledger.read() as connection:
        place = artifacts.find(connection, path)
        found = artifacts.list_(connection, place.owner, place.path)
        return [(entry.path, entry.size) for entry in found]


@pytest.fixture
def root(run: str) -> str:
    return f"0/{run}/artifacts"


@pytest.fixture
def model(ledger: Ledger, run: str) -> str:
    with ledger.write() as connection:
        return logged.create(connection, experiment_id=0, name="m", run=run, at=1)


def test_a_path_leads_to_its_run_or_model(ledger: Ledger, run: str, model: str) -> None:
    with ledger.read() as connection:
        one = artifacts.find(connection, f"0/{run}/artifacts/a/b")
        other = artifacts.find(connection, f"0/models/{model}/artifacts")
    assert (one.owner.kind, one.owner.id, one.path) == ("run", run, "a/b")
    assert (other.owner.kind, other.owner.id, other.path) == ("model", model, "")


@pytest.mark.parametrize(
    "path", ["", "0", "0/RUN", "1/RUN/artifacts/a", "RUN/artifacts/a", "0/x/RUN/artifacts/a",
             "0/no/artifacts/a", "0/models/m-no/artifacts", "0/models/RUN/artifacts",
             "0/MODEL/artifacts/a", "artifacts", "artifacts/artifacts"],
)  # fmt: skip
def test_any_other_path_is_nobodys(ledger: Ledger, run: str, model: str, path: str) -> None:
    asked = path.replace("RUN", run).replace("MODEL", model)
    with ledger.read() as connection, pytest.raises(Error, match="keeps its files at") as raised:
        artifacts.find(connection, asked)
    assert "EXPERIMENT/RUN/artifacts/FILE" in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "path"),
    [("mlflow-artifacts:/team/x/artifacts", "team/x/artifacts"),
     ("mlflow-artifacts://hub:5000/team/x/artifacts", "team/x/artifacts"),
     ("http://hub/api/2.0/mlflow-artifacts/artifacts/team/x/artifacts", "team/x/artifacts")],
)  # fmt: skip
def test_a_root_that_was_recorded_counts(ledger: Ledger, run: str, uri: str, path: str) -> None:
    recorded, found = uri.replace("x", run), path.replace("x", run)
    with ledger.write() as connection:
        connection.execute(tables.run.update().values(artifact_uri=recorded))
    put(ledger, f"{found}/a")
    assert listed(ledger, found) == [("a", 1)]
    with pytest.raises(Error, match="keeps its files at"):
        listed(ledger, f"0/{run}/artifacts")


def test_a_model_of_an_experiment_with_a_place_of_its_own_lies_there(ledger: Ledger) -> None:
    with ledger.write() as connection:
        connection.execute(tables.experiment.update().values(artifact_location="s3://bucket/x/"))
        id_ = logged.create(connection, experiment_id=0, name="m", at=1)
        uri = artifacts.of_model(connection, id_).uri
    assert uri == f"s3://bucket/x/models/{id_}/artifacts"


def test_a_list_has_the_files_and_folders_of_one_folder(ledger: Ledger, root: str) -> None:
    for path in ("b.txt", "a/x", "a/y/z", "a0", "A/x", "é/ü"):
        put(ledger, f"{root}/{path}", B)
    assert listed(ledger, root) == [("A", None), ("a", None), ("a0", 2), ("b.txt", 2), ("é", None)]
    assert listed(ledger, f"{root}/a") == [("a/x", 2), ("a/y", None)]
    assert listed(ledger, f"{root}/é") == [("é/ü", 2)]
    assert listed(ledger, f"{root}/b.txt") == []
    assert listed(ledger, f"{root}/no") == []


@pytest.mark.parametrize("name", ["a%b", "a_b", "a\\b", "%", "_", "a'b", 'a"b', "h#1", "q?x"])
def test_odd_names_are_taken_as_they_are(ledger: Ledger, root: str, name: str) -> None:
    put(ledger, f"{root}/{name}/x")
    put(ledger, f"{root}/axb/x")
    assert listed(ledger, f"{root}/{name}") == [(f"{name}/x", 1)]
    assert delete(ledger, f"{root}/{name}") == 1
    assert listed(ledger, root) == [("axb", None)]


def test_a_file_again_takes_the_place_of_the_first(ledger: Ledger, root: str) -> None:
    put(ledger, f"{root}/a", A)
    put(ledger, f"{root}/a", B)
    assert listed(ledger, root) == [("a", 2)]


def test_other_bytes_are_refused_where_that_is_asked(ledger: Ledger, root: str) -> None:
    put(ledger, f"{root}/a", A)
    put(ledger, f"{root}/a", A, replace=False)
    with pytest.raises(Taken, match="There is a file 'a' with other bytes"):
        put(ledger, f"{root}/a", B, replace=False)
    assert listed(ledger, root) == [("a", 1)]


def test_a_file_is_no_folder_and_the_other_way_round(ledger: Ledger, root: str) -> None:
    put(ledger, f"{root}/a/b")
    with pytest.raises(Error, match="'a' is a folder"):
        put(ledger, f"{root}/a")
    with pytest.raises(Error, match="'a/b' is a file; 'a/b/c/d' cannot be a file in it"):
        put(ledger, f"{root}/a/b/c/d")
    assert listed(ledger, f"{root}/a") == [("a/b", 1)]


def test_deleting_takes_a_file_a_folder_or_nothing(ledger: Ledger, root: str) -> None:
    for path in ("a", "ab", "d/x", "d/y/z"):
        put(ledger, f"{root}/{path}")
    assert delete(ledger, f"{root}/no") == 0
    assert delete(ledger, f"{root}/a") == 1
    assert delete(ledger, f"{root}/d") == 2
    assert listed(ledger, root) == [("ab", 1)]
    assert delete(ledger, root) == 1
    assert listed(ledger, root) == []


def test_a_deleted_run_can_be_read_not_written(ledger: Ledger, run: str, root: str) -> None:
    put(ledger, f"{root}/a")
    with ledger.write() as connection:
        connection.execute(tables.run.update().values(deleted=9))
    with pytest.raises(Error, match=f"The run {run} must be in the 'active' state"):
        put(ledger, f"{root}/b")
    assert listed(ledger, root) == [("a", 1)]


def test_a_deleted_model_can_be_read_not_written(ledger: Ledger, model: str) -> None:
    root = f"0/models/{model}/artifacts"
    put(ledger, f"{root}/a")
    with ledger.write() as connection:
        logged.delete(connection, model, at=7)
    with pytest.raises(NotFound, match=f"Logged model with ID '{model}' not found"):
        put(ledger, f"{root}/b")
    assert listed(ledger, root) == [("a", 1)]


@pytest.mark.parametrize("of_model", [False, True])
def test_a_file_for_a_run_that_ended_changes_its_record(
    ledger: Ledger, writer: Writer, run: str, model: str, of_model: bool
) -> None:
    writer.finish_run(run, status="finished", at=2_000)
    root = f"0/models/{model}/artifacts" if of_model else f"0/{run}/artifacts"
    before = updated(ledger)
    put(ledger, f"{root}/a")
    after = updated(ledger)
    assert after is not None
    assert before is None or after >= before


def updated(ledger: Ledger) -> int | None:
    with ledger.read() as connection:
        found = connection.execute(tables.run.select()).one().updated
        return None if found is None else int(found)


def test_what_the_sdk_kept_is_in_the_list(ledger: Ledger, writer: Writer, run: str) -> None:
    writer.add_artifact(run, "plots/a#1.png", f"sha256:{'c' * 64}", 7)
    assert listed(ledger, f"0/{run}/artifacts/plots") == [("plots/a#1.png", 7)]


@pytest.fixture(scope="module")
def one_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with open_ledger(tmp_path_factory.mktemp("ledger") / "ledger.db") as opened:
        yield opened


_NAMES = st.lists(st.sampled_from(["a", "A", "b%", "a_", "é", "0"]), min_size=1, max_size=3)


@settings(deadline=None, max_examples=50)
@given(paths=st.lists(_NAMES, max_size=8))
def test_a_folder_lists_what_a_file_system_would(
    one_ledger: Ledger, paths: list[list[str]]
) -> None:
    model: set[str] = set()
    run = Writer(one_ledger).start_run(name="a", kind="script")
    with one_ledger.write() as connection:
        owner = artifacts.of_run(connection, run)
        for parts in paths:
            path = "/".join(parts)
            clashes = any(
                one.startswith(f"{path}/") or path.startswith(f"{one}/") for one in model
            )
            try:
                artifacts.put(connection, Place(owner=owner, path=path), A, at=1)
                assert not clashes
                model.add(path)
            except Error:
                assert clashes
    with one_ledger.read() as connection:
        found = [one.path for one in artifacts.list_(connection, owner, "a")]
    below = {one.split("/")[1] for one in model if one.startswith("a/")}
    assert found == sorted(f"a/{name}" for name in below)
