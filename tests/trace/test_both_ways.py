"""What a thing led to came from it: what is reached forwards is what reaches back, and no more."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from assay.ledger import deployments, logged, models, rows, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Code, Data, Kind, Metric, Untracked, Writer
from assay.project import git, workspace
from assay.project.workspace import Project
from assay.trace import things, tree
from assay.trace.nodes import Node
from assay.trace.things import Thing
from tests import make

N_CONTENTS = 6
PLACE = tuple[Project, Ledger]

_numbers = itertools.count(1)
_some = st.integers(0, 5)
_maybe = st.none() | _some
_few = st.sets(_some, max_size=3)
_runs = st.fixed_dictionaries(
    {
        "parent": _maybe, "is_pipeline": st.booleans(), "start": st.integers(0, 4),
        "reads": _few, "copies": _few, "tracks": _few, "models": _few,
        "is_deleted": st.booleans(),
    }
)  # fmt: skip
_ledgers = st.fixed_dictionaries(
    {
        "runs": st.lists(_runs, min_size=1, max_size=6),
        "writers": st.lists(_few, max_size=N_CONTENTS),  # of each content
        "copiers": st.lists(_few, max_size=N_CONTENTS),  # of each, at another path
        "models": st.lists(_some, max_size=2),  # who made each
        "bundles": st.lists(_maybe, max_size=2),
        "versions": st.lists(st.tuples(_maybe, _maybe, _maybe), max_size=3),
    }
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PLACE]:
    """One ledger for all that is drawn, in which each has names of its own."""
    project = make.project(tmp_path_factory.mktemp("both") / "project")
    make.commit(project)
    with (
        tempfile.TemporaryDirectory(dir=make.memory()) as folder,
        open_ledger(Path(folder) / "ledger.db") as ledger,
    ):
        yield workspace.find(project), ledger


class Filled:
    """A ledger that was drawn, written, and all that is traced in it."""

    def __init__(self, place: PLACE, drawn: dict[str, Any]) -> None:
        project, ledger = place
        self.ledger, self.number, self.things = ledger, next(_numbers), list[Thing]()
        self._objects, self._commit = project.objects, git.head(project.git_root)
        with ledger.together():
            own = self._runs(drawn["runs"])
            for data in map(self._content, range(2 * N_CONTENTS)):
                self.things.append(things.of_data(data.oid, path=data.path))
            for first, all_writers in ((0, drawn["writers"]), (N_CONTENTS, drawn["copiers"])):
                for number, writers in enumerate(all_writers, first):
                    for run in {_pick(own, one) for one in writers} - {None}:
                        Writer(ledger).add_outputs(str(run), [self._content(number)])
        bundles = self._bundles(own, drawn["bundles"])
        made = self._logged_models(own, drawn["models"])
        for run, one in zip(own, drawn["runs"], strict=False):
            self._read(run, {_pick(made, number) for number in one["models"]})
        for number, (bundle, model, run) in enumerate(drawn["versions"]):
            name = f"m{self.number}-{number}"
            models.register(
                ledger, name, bundle=_pick(bundles, bundle), model_id=_pick(made, model),
                run=_pick(own, run),
            )  # fmt: skip
            live = deployments.add_deployment(ledger, f"e{name}", version=f"{name}/1")
            self._add("version", f"{name}/1")
            self._add("deployment", live.id)
        gone = [run for run, one in zip(own, drawn["runs"], strict=False) if one["is_deleted"]]
        with ledger.write() as connection:
            run = tables.run
            connection.execute(run.update().where(run.c.id.in_(gone)).values(deleted=1))

    def _add(self, kind: Any, name: str, **more: Any) -> None:
        self.things.append(Thing(kind=kind, id=f"{kind}:{name}", label=name, **more))

    def _content(self, number: int) -> Data:
        """Return a content; those from `N_CONTENTS` on have the bytes of the first, elsewhere."""
        oid = f"md5:{self.number:016x}{number % N_CONTENTS:016x}"
        return Data(path=f"f{number}", oid=oid)

    def _code(self, tracks: Iterable[int]) -> Code:
        """Return the code of a run in which the first contents are tracked where they lie."""
        records = []
        for data in map(self._content, sorted(tracks)):
            text = f"outs:\n- md5: {data.oid.removeprefix('md5:')}\n  path: {data.path}\n".encode()
            oid = f"sha256:{self._objects.add(text)}"
            records.append(Untracked(path=f"{data.path}.dvc", oid=oid, size=len(text)))
        return Code(commit=self._commit, untracked=tuple(records))

    def _runs(self, drawn: Sequence[dict[str, Any]]) -> list[str]:
        """Write runs, and return those that are more than the sum of others."""
        writer = Writer(self.ledger)
        found: list[tuple[str, Kind, int]] = []
        for one in drawn:
            above = _pick(found, one["parent"])
            kind: Kind = "pipeline" if above is None and one["is_pipeline"] else "script"
            if above is not None and above[1] == "pipeline":
                kind = "stage"
            start = one["start"] if above is None else max(one["start"], above[2])
            id_ = writer.start_run(
                name="it", kind=kind, stage="it" if kind == "stage" else None, at=start,
                parent=None if above is None else above[0], code=self._code(one["tracks"]),
            )  # fmt: skip
            found.append((id_, kind, start))
            if kind != "pipeline":
                numbers = [*one["reads"], *(N_CONTENTS + number for number in one["copies"])]
                writer.add_inputs(id_, [self._content(number) for number in numbers])
                writer.log_metrics(id_, [Metric(key="loss", value=1.0, at=1)])
                self._add("run", id_)
                self._add("metric", f"{id_}/loss", run=id_)
        return [id_ for id_, kind, _ in found if kind != "pipeline"]

    def _bundles(self, own: list[str], drawn: Sequence[int | None]) -> list[str]:
        found = [f"sha256:{self.number:032x}{number:032x}" for number in range(len(drawn))]
        for bundle, number in zip(found, drawn, strict=True):
            self._add("bundle", bundle)
            if (run := _pick(own, number)) is not None:
                Writer(self.ledger).add_edge(f"run:{run}", "made", f"bundle:{bundle}")
        return found

    def _logged_models(self, own: list[str], drawn: Sequence[int]) -> list[str]:
        found = [f"m-{self.number:016x}{number:016x}" for number in range(len(drawn))]
        with self.ledger.write() as connection:
            for id_, number in zip(found, drawn, strict=True):
                self._add("logged_model", id_)
                row = {
                    "id": id_, "name": "clf", "experiment_id": 0, "status": "ready",
                    "created": 1, "updated": 1,
                }  # fmt: skip
                connection.execute(tables.logged_model.insert(), row)
                if (run := _pick(own, number)) is not None:
                    rows.claim_run(connection, run)
                    logged.link(connection, run, "output", [(id_, 0)], at=1)
        return found

    def _read(self, run: str, made: Iterable[str | None]) -> None:
        with self.ledger.write() as connection:
            rows.claim_run(connection, run)
            read = [(id_, 0) for id_ in made if id_ is not None]
            logged.link(connection, run, "input", read, at=2)


def _pick(items: Sequence[Any], number: int | None) -> Any:
    return None if number is None or not items else items[number % len(items)]


def reached(nodes: list[Node]) -> set[str]:
    """Return all that stands in a tree."""
    return {node.id for node in nodes}.union(*(reached(node.children) for node in nodes))


def both_ways(place: PLACE, filled: Filled) -> tuple[set[Any], set[Any]]:
    """Return the pairs of things of which one leads to the other, asked from either end."""
    forwards, backwards = set(), set()
    names = {thing.id for thing in filled.things}
    for thing in filled.things:
        found = tree.trace(*place, thing, most=None)
        forwards |= {(thing.id, other) for other in reached(found.led_to) & names}
        backwards |= {(other, thing.id) for other in reached(found.came_from) & names}
    return forwards, backwards


def _own(pairs: set[Any]) -> set[Any]:
    return {(a, b) for a, b in pairs if a != b}


_run = {
    "is_pipeline": False, "copies": set(), "tracks": set(), "models": set(), "is_deleted": False,
}  # fmt: skip
NESTED: dict[str, Any] = {  # the second run is a part of the first, and reads what that wrote
    "runs": [
        _run | {"parent": None, "start": 0, "reads": {0}},
        _run | {"parent": 0, "start": 1, "reads": {1}},
    ],
    "writers": [set(), {0}, {1}], "copiers": [], "models": [], "bundles": [1],
    "versions": [(0, None, None)],
}  # fmt: skip
COPIED: dict[str, Any] = {  # tracked data, a copy that a run wrote, and readers of both
    "runs": [
        _run | {"parent": None, "start": start, "reads": reads, "copies": copies, "tracks": tracks}
        for start, reads, copies, tracks in (
            (0, {0}, set(), {0}), (1, {0}, set(), {0}), (2, {0}, {0}, {0}), (3, {0}, set(), set()),
        )
    ],
    "writers": [], "copiers": [{0}], "models": [], "bundles": [], "versions": [],
}  # fmt: skip


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=_ledgers)
@example(drawn=NESTED)
@example(drawn=COPIED)
def test_what_is_reached_forwards_is_what_reaches_back(place: PLACE, drawn: dict[str, Any]):
    once = {
        key: [{min(writers)} if writers else writers for writers in drawn[key]]
        for key in ("writers", "copiers")
    }
    forwards, backwards = both_ways(place, Filled(place, drawn | once))
    assert _own(forwards) == _own(backwards)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=_ledgers)
def test_of_many_that_wrote_a_content_whoever_is_named_led_to_it(
    place: PLACE, drawn: dict[str, Any]
):
    filled = Filled(place, drawn)
    forwards, backwards = both_ways(place, filled)
    assert _own(backwards) <= _own(forwards)
    contents = {thing.id for thing in filled.things if thing.kind == "data"}
    more = {(a, b) for a, b in _own(forwards) - _own(backwards) if b not in contents}
    assert more == set()


def test_a_nested_run_and_the_one_around_it_led_to_what_either_made(place: PLACE):
    filled = Filled(place, NESTED)
    forwards, _ = both_ways(place, filled)
    outer, inner = [thing.id for thing in filled.things if thing.kind == "run"]
    read, between, written = [t.id for t in filled.things if t.kind == "data"][:3]
    (version,) = [thing.id for thing in filled.things if thing.kind == "version"]
    assert {(read, outer), (read, written), (between, written), (read, version)} <= forwards
    assert {(outer, inner), (outer, written), (inner, outer), (inner, version)} <= forwards
    assert (written, read) not in forwards


def test_what_was_written_twice_came_each_time_from_who_wrote_it_before(place: PLACE):
    def run(start: int, reads: set[int]) -> dict[str, Any]:
        return _run | {"parent": None, "start": start, "reads": reads}

    drawn = {
        "runs": [run(0, set()), run(1, {0}), run(2, set()), run(3, {0}), run(4, {1, 2})],
        "writers": [{0, 2}, {1}, {3}], "copiers": [], "models": [], "bundles": [], "versions": [],
    }  # fmt: skip
    filled = Filled(place, drawn)
    forwards, backwards = both_ways(place, filled)
    first, reader, second, later, last = [t.id for t in filled.things if t.kind == "run"]
    assert {(first, reader), (second, later), (first, last), (second, last)} <= forwards
    assert {(first, later), (second, reader)}.isdisjoint(forwards | backwards)
    assert {(first, last), (second, last)} <= backwards


def test_tracked_bytes_led_to_their_readers_and_not_by_way_of_a_run_that_copied_them(place: PLACE):
    filled = Filled(place, COPIED)
    forwards, backwards = both_ways(place, filled)
    copied, read, read_both, by_hand = [t.id for t in filled.things if t.kind == "run"]
    assert {(copied, read_both), (copied, by_hand)} <= forwards & backwards
    assert (copied, read) not in forwards | backwards
