"""Deleting, restoring and purging runs: what goes is gone, what has to stay stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.ledger import deleting, lineage, models, purge, runs, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.deleting import Deleted
from assay.ledger.environment import capture
from assay.ledger.lineage import Edge
from assay.ledger.purge import Purge
from assay.ledger.writer import Code, Data, Metric, Untracked, Writer


def ended(writer: Writer, name: str, *, parent: str | None = None, at: int = 1) -> str:
    run = writer.start_run(
        name=name, kind="script", experiment="e", parent=parent, code=Code(commit="c0"),
        environment=capture(), at=at,
    )  # fmt: skip
    writer.log_params(run, {"p": 1})
    writer.log_metrics(run, [Metric(key="m", value=float(i), step=i, at=i) for i in range(50)])
    writer.set_tags(run, {"t": "x"})
    writer.add_inputs(run, [Data(path="a", oid=f"md5:{name}")])
    writer.add_artifact(run, "f", f"sha256:{name}", 1)
    if parent is None:
        writer.finish_run(run, status="finished")
    return run


def counts(ledger: Ledger) -> dict[str, int]:
    """Return how many rows each table has that has some."""
    with ledger.read() as connection:
        found = {
            table.name: len(connection.execute(table.select()).all())
            for table in tables.metadata.sorted_tables
        }
    return {name: count for name, count in found.items() if count}


def test_a_deleted_run_takes_its_parts_along_and_comes_back_with_them(
    ledger: Ledger, writer: Writer
):
    run = ended(writer, "a")
    part = ended(writer, "b", parent=run)
    writer.finish_run(part, status="finished")
    before = runs.get(ledger, run)
    assert deleting.delete(ledger, [run[:13]], at=5) == [run, part]
    assert runs.list_(ledger, top_level=False) == []
    assert [one.id for one in deleting.list_deleted(ledger)] == sorted([run, part])
    with pytest.raises(NotFound):
        runs.get(ledger, run)
    assert sorted(deleting.restore(ledger, [run])) == sorted([run, part])
    assert runs.get(ledger, run) == before


def test_a_part_that_was_deleted_by_itself_before_stays_deleted(ledger: Ledger, writer: Writer):
    top = ended(writer, "top")
    alone = ended(writer, "alone", parent=top)
    below = ended(writer, "below", parent=alone)
    along = ended(writer, "along", parent=top)
    for part in (alone, below, along):
        writer.finish_run(part, status="finished")
    deleting.delete(ledger, [alone], at=1_000)
    deleting.delete(ledger, [top], at=2_000)
    assert deleting.restore(ledger, [top]) == [top, along]
    assert [one.id for one in deleting.list_deleted(ledger)] == sorted([alone, below])
    assert deleting.restore(ledger, [below, alone]) == [below, alone]
    assert deleting.list_deleted(ledger) == []


def test_a_run_that_goes_on_is_not_deleted(ledger: Ledger, writer: Writer):
    run = ended(writer, "a")
    open_ = writer.start_run(name="long", kind="script")
    with pytest.raises(Error, match="goes on; nothing was deleted"):
        deleting.delete(ledger, [run, open_])
    assert deleting.list_deleted(ledger) == []


def test_what_is_not_deleted_cannot_be_restored_or_purged(ledger: Ledger, writer: Writer):
    run = ended(writer, "a")
    for name in (run, "0", "nothing", "", "%"):
        with pytest.raises(NotFound, match="there is no deleted run") as caught:
            deleting.restore(ledger, [name])
        assert caught.value.hint == "'assay runs list --deleted' shows them"
        with pytest.raises(NotFound, match="there is no deleted run"):
            purge.find(ledger, [name])
    assert not purge.find(ledger)


def test_an_experiment_takes_its_runs_along(ledger: Ledger, writer: Writer):
    run = ended(writer, "a")
    deleting.mark_experiment(ledger, "e", deleted=True, at=5)
    with pytest.raises(Error, match="experiment 'e' of the run is deleted") as caught:
        deleting.restore(ledger, [run])
    assert caught.value.hint == "assay runs restore --experiment 'e'"
    with pytest.raises(Error, match="'e' is deleted"):
        deleting.mark_experiment(ledger, "e", deleted=True)
    deleting.mark_experiment(ledger, "e", deleted=False)
    assert runs.get(ledger, run).id == run
    with pytest.raises(NotFound, match="there is no experiment 'x'"):
        deleting.mark_experiment(ledger, "x", deleted=True)


def test_a_purged_run_leaves_nothing_but_its_id(ledger: Ledger, writer: Writer):
    before = counts(ledger)
    run = ended(writer, "a")
    ended_part = ended(writer, "b", parent=run)
    writer.finish_run(ended_part, status="finished")
    deleting.mark_experiment(ledger, "e", deleted=True, at=5)
    found = purge.find(ledger)
    assert [one.id for one in found.runs] == sorted([run, ended_part])
    assert found.experiments == ("e",)
    purge.purge(ledger, found, at=9)
    assert counts(ledger) == {**before, "purged": 2}
    assert not purge.find(ledger)


def test_the_name_of_a_purged_experiment_is_free(ledger: Ledger, writer: Writer):
    ended(writer, "a")
    deleting.mark_experiment(ledger, "e", deleted=True)
    with pytest.raises(Error, match="deleted"):
        writer.start_run(name="b", kind="script", experiment="e")
    purge.purge(ledger, purge.find(ledger), at=9)
    assert writer.start_run(name="b", kind="script", experiment="e")


def test_only_what_was_deleted_long_ago_goes_where_that_is_asked(ledger: Ledger, writer: Writer):
    old, new = ended(writer, "a"), ended(writer, "b")
    deleting.delete(ledger, [old], at=100)
    deleting.delete(ledger, [new], at=200)
    found = purge.find(ledger, before=150)
    assert [one.id for one in found.runs] == [old]
    purge.purge(ledger, found, at=300)
    assert [one.id for one in deleting.list_deleted(ledger)] == [new]
    assert [one.id for one in purge.find(ledger, [new]).runs] == [new]


def test_a_run_that_a_version_was_made_of_stays(ledger: Ledger, writer: Writer):
    run, other = ended(writer, "a"), ended(writer, "b")
    models.register(ledger, "churn", bundle="sha256:1", run=run)
    deleting.delete(ledger, [run, other])
    found = purge.find(ledger)
    assert [one.id for one in found.runs] == [other]
    assert [(one.id, one.reason) for one in found.kept] == [
        (run, "the version churn/1 was made of it")
    ]
    with pytest.raises(Error, match="churn/1 was made of it"):
        purge.find(ledger, [run])
    models.delete_version(ledger, "churn/1")
    purge.purge(ledger, purge.find(ledger), at=9)
    assert models.register(ledger, "churn", bundle="sha256:2").number == 2


def test_a_part_that_is_not_deleted_outlives_what_it_was_a_part_of(ledger: Ledger, writer: Writer):
    run = ended(writer, "a")
    part = ended(writer, "b", parent=run)
    writer.finish_run(part, status="finished")
    with ledger.write() as connection:
        query = tables.run.update().where(tables.run.c.id == run)
        connection.execute(query.values(deleted=5))
    purge.purge(ledger, purge.find(ledger), at=9)
    assert runs.get(ledger, part).parent is None
    assert runs.get(ledger, part).params == {"p": 1}


def test_logged_models_go_with_their_run_unless_they_are_registered(
    ledger: Ledger, writer: Writer
):
    run = ended(writer, "a")
    with ledger.write() as connection:
        number = runs_experiment(ledger, run)
        for id_ in ("m-1", "m-2", "m-3"):
            connection.execute(tables.logged_model.insert().values(
                id=id_, name="x", experiment_id=number, status="ready", created=1, updated=1,
                run_id=run if id_ != "m-3" else None, deleted=1 if id_ == "m-3" else None,
            ))  # fmt: skip
    version = models.register(ledger, "churn", bundle="sha256:1")
    with ledger.write() as connection:
        query = tables.version.update().where(tables.version.c.number == version.number)
        connection.execute(query.values(model_id="m-2"))
    deleting.delete(ledger, [run])
    found = purge.find(ledger)
    assert found.models == ("m-1", "m-3")
    purge.purge(ledger, found, at=9)
    with ledger.read() as connection:
        left = connection.execute(tables.logged_model.select()).all()
    assert [(row.id, row.run_id) for row in left] == [("m-2", None)]


def runs_experiment(ledger: Ledger, run: str) -> int:
    return runs.get(ledger, run).experiment_id


def test_the_file_of_a_ledger_shrinks(ledger: Ledger, writer: Writer):
    for n in range(20):
        run = writer.start_run(name=str(n), kind="script")
        writer.set_tags(run, {str(i): "x" * 10_000 for i in range(20)})
        writer.finish_run(run, status="finished")
        deleting.delete(ledger, [run])
    purge.purge(ledger, purge.find(ledger), at=9)
    assert purge.shrink(ledger)
    if ledger.is_sqlite:
        assert Path(ledger.where).stat().st_size < 1_000_000
        assert not Path(f"{ledger.where}-wal").stat().st_size


def test_what_is_restored_after_it_was_found_is_not_purged(ledger: Ledger, writer: Writer):
    a, b, c = (ended(writer, name) for name in "abc")
    part = ended(writer, "part", parent=b)
    writer.finish_run(part, status="finished")
    deleting.delete(ledger, [a, b, c], at=5)
    found = purge.find(ledger)
    deleting.restore(ledger, [a])
    deleting.restore(ledger, [c])
    deleting.delete(ledger, [c], at=6)  # another deletion, to which nobody agreed
    before = runs.get(ledger, a)
    done = purge.purge(ledger, found, at=9)
    assert {one.id for one in done.runs} == {b, part}
    assert runs.get(ledger, a) == before
    assert [one.id for one in deleting.list_deleted(ledger)] == [c]
    assert counts(ledger)["purged"] == 2


def test_an_experiment_that_is_restored_and_used_after_it_was_found_stays(
    ledger: Ledger, writer: Writer
):
    first = ended(writer, "a")
    deleting.mark_experiment(ledger, "e", deleted=True, at=5)
    found = purge.find(ledger)
    assert found.experiments == ("e",)
    deleting.mark_experiment(ledger, "e", deleted=False)
    run = ended(writer, "b")
    before = counts(ledger)
    assert not purge.purge(ledger, found, at=9)
    assert counts(ledger) == before
    deleting.mark_experiment(ledger, "e", deleted=True, at=6)
    assert not purge.purge(ledger, found, at=9)  # there is another run in it
    assert {one.id for one in deleting.list_deleted(ledger)} == {first, run}


def test_a_run_of_which_a_version_was_made_after_it_was_found_stays(
    ledger: Ledger, writer: Writer
):
    run = ended(writer, "a")
    deleting.delete(ledger, [run])
    found = purge.find(ledger)
    models.register(ledger, "churn", bundle="sha256:1", run=run)
    assert not purge.purge(ledger, found, at=9)
    assert [one.id for one in purge.find(ledger).kept] == [run]


@pytest.mark.parametrize("n_others", [0, 600])
def test_a_purge_knows_all_objects_that_records_name_but_profiles(
    ledger: Ledger, writer: Writer, n_others: int
):
    patch, code, file, other, data, profile, bundle, weights = (
        f"{digit:x}" * 64 for digit in range(8)
    )
    for kept in (other, file):
        run = writer.start_run(name="a", kind="script", code=Code(
            commit="c", diff=f"sha256:{patch}",
            untracked=(Untracked(path="x.py", oid=f"sha256:{code}", size=1),),
        ))  # fmt: skip
        writer.add_artifact(run, "model", f"sha256:{kept}", 1)
        writer.add_inputs(
            run, [Data(path="d", oid=f"sha256:{data}", profile=f"sha256:{profile}"),
                  Data(path="e", oid="md5:1")]
        )  # fmt: skip
        edge = Edge(source=f"run:{run}", relation="made", target=f"bundle:sha256:{bundle}", at=1)
        with ledger.write() as connection:
            lineage.add(connection, [edge])
        writer.finish_run(run, status="finished")
    rest = {"kind": "script", "status": "finished", "start": 1, "end": 2, "name": "n",
            "code_is_reproducible": False, "experiment_id": 0, "deleted": 3}  # fmt: skip
    with ledger.write() as connection:
        for n in range(n_others):
            connection.execute(tables.run.insert().values(id=f"{n:036d}", **rest))
        connection.execute(tables.logged_model.insert().values(
            id="m-1", name="x", experiment_id=0, status="ready", created=1, updated=1, run_id=run
        ))  # fmt: skip
        connection.execute(tables.logged_model_artifact.insert().values(
            model_id="m-1", path="weights", oid=f"sha256:{weights}", size=1, at=1
        ))  # fmt: skip
    deleting.delete(ledger, [run])
    found = purge.named(ledger, purge.find(ledger))
    assert found.artifacts == {file, weights}
    assert found.objects == {patch, code, file, data, bundle, weights}


def test_a_purge_looks_at_what_it_takes_and_not_at_whole_tables(tmp_path: Path):
    from sqlalchemy import event

    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(_conn, _cursor, statement, parameters, _context, _many):
        if statement.startswith("SELECT") and "FROM run_data" not in statement:
            asked.append((statement, parameters))

    with open_ledger(tmp_path / "ledger.db") as ledger:
        found = Purge(runs=tuple(
            Deleted(id=f"{n:036d}", name="n", kind="script", experiment="e", start=1, deleted=2)
            for n in range(600)
        ), models=(), experiments=())  # fmt: skip
        event.listen(ledger.engine, "before_cursor_execute", note)
        purge.named(ledger, found)
        purge.purge(ledger, found, at=9)
        event.remove(ledger.engine, "before_cursor_execute", note)
        with ledger.read() as connection:
            steps = [
                row.detail
                for statement, parameters in asked
                for row in connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {statement}", parameters
                )
            ]
    assert any(step.startswith("SEARCH artifact ") for step in steps)
    assert [step for step in steps if step.startswith(_WHOLE)] == []


_WHOLE = tuple(
    f"SCAN {name}" for name in ("artifact", "untracked", "logged_model_artifact", "run", "edge")
)


def test_no_statement_of_a_purge_names_more_than_a_database_takes(ledger: Ledger):
    from sqlalchemy import event

    ids = [f"{n:036d}" for n in range(1_300)]
    rest = {"kind": "script", "status": "finished", "start": 1, "end": 2, "name": "n",
            "code_is_reproducible": False}  # fmt: skip
    with ledger.write() as connection:
        connection.execute(tables.experiment.insert(), [
            {"id": n + 1, "name": f"e{n}", "created": 1, "updated": 1, "deleted": 2}
            for n in range(1_300)
        ])  # fmt: skip
        connection.execute(tables.run.insert(), [
            {"id": id_, "experiment_id": n + 1, "deleted": 3, **rest} for n, id_ in enumerate(ids)
        ])  # fmt: skip
        connection.execute(tables.run.insert(), [
            {"id": f"part-{id_}", "experiment_id": 0, "parent_id": id_, **rest} for id_ in ids
        ])  # fmt: skip
    sizes: list[int] = []

    def note(_conn, _cursor, _statement, parameters, _context, executemany):
        sizes.append(0 if executemany else len(parameters or ()))

    event.listen(ledger.engine, "before_cursor_execute", note)
    found = purge.find(ledger)
    done = purge.purge(ledger, found, at=9)
    assert (len(done.runs), len(done.experiments)) == (1_300, 1_300)
    assert 500 <= max(sizes) <= 1_000
    with ledger.read() as connection:
        left = connection.execute(tables.run.select()).all()
    assert {(row.id, row.parent_id) for row in left} == {(f"part-{id_}", None) for id_ in ids}
