"""What the ledger has of things that are traced: looked up for a whole level at a time.

A tree is drawn from its root to its leaves, one thing after the other. Whatever a thing leads to
is remembered as wanted; the first of these that is looked at brings all of them, by a few selects,
however many they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from assay.ledger.lineage import Edge
from assay.trace import commands, labels, reading, run_facts
from assay.trace.run_facts import RunFacts
from assay.trace.things import Thing
from assay.trace.writers import Passed

if TYPE_CHECKING:
    from assay.ledger.database import Ledger

Item = TypeVar("Item")


class Facts:
    """Looks things up once each, with all others that are wanted by then.

    Parameters
    ----------
    root : Path
        The folder of the project.
    most : int or None
        Of many things of one kind, only so many are followed, the newest; None follows all.
    upwards : bool
        Whether it is asked what things came from, or what came from them.
    """

    def __init__(
        self, ledger: Ledger, *, root: Path, most: int | None, upwards: bool
    ) -> None:  # fmt: skip
        self._ledger, self._root, self._most, self._upwards = ledger, root, most, upwards
        self._runs: dict[str, RunFacts | None] = {}
        self._only_above: set[str] = set()  # looked at for their code, and followed no further
        self._writers: dict[str, list[Passed]] = {}
        self._readers: dict[str, list[Passed]] = {}
        self._ran: dict[str, list[Passed]] = {}
        self._edges: dict[str, list[Edge]] = {}
        self._things: dict[str, Thing | None] = {}
        kinds = ("run", "passed", "ran", "edges", "thing")
        self._wanted: dict[str, dict[str, None]] = {kind: {} for kind in kinds}

    def few(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return those of many things that are followed: the last ones."""
        if self._most is None or len(items) <= self._most:
            return items
        return items[len(items) - self._most :]

    def want(self, kind: str, ids: Iterable[str]) -> None:
        """Remember what is going to be asked for: runs by id, contents and edges by thing."""
        wanted = dict.fromkeys(ids)
        self._wanted[kind].update(wanted)
        if kind == "run":
            self._only_above.difference_update(wanted)

    def run(self, id_: str) -> RunFacts | None:
        """Return a run, also a deleted one; None where the ledger has none."""
        if id_ not in self._runs:
            self._load_runs(self._take("run", id_, self._runs))
        return self._runs[id_]

    def writers(self, oid: str) -> list[Passed]:
        """Return which runs wrote a content, oldest first."""
        self._know_passed(oid)
        return self._writers[oid]

    def readers(self, oid: str) -> list[Passed]:
        """Return which runs read a content, oldest first; it is asked downwards only.

        A run that read it at several paths is there for each.
        """
        self._know_passed(oid)
        return self._readers[oid]

    def keepers(self, oid: str) -> list[Passed]:
        """Return which runs have a content among their artifacts, oldest first."""
        return [one.passed for one in reading.keepers(self._ledger, [oid])]

    def ran(self, path: str) -> list[Passed]:
        """Return which runs have a command that may have run a file, oldest first.

        The parts of such a run are not among them. Of a module, any file is that ends so.
        """
        if path not in self._ran:
            self._load_ran(self._take("ran", path, self._ran))
        return self._ran[path]

    def edges(self, thing: str) -> list[Edge]:
        """Return the edges to a thing (or, downwards, from it), oldest first."""
        if thing not in self._edges:
            self._load_edges(self._take("edges", thing, self._edges))
        return self._edges[thing]

    def thing(self, id_: str) -> Thing | None:
        """Return a bundle, version, deployment, alert, decision or logged model by its name."""
        if id_ not in self._things:
            wanted = self._take("thing", id_, self._things)
            self._things.update(dict.fromkeys(wanted))
            self._things.update(labels.load(self._ledger, wanted))
        return self._things[id_]

    def _take(self, kind: str, id_: str, known: dict[str, Any]) -> list[str]:
        """Return all that is wanted and not known, and forget that it is."""
        wanted = dict.fromkeys([id_, *self._wanted[kind]])
        self._wanted[kind] = {}
        return [one for one in wanted if one not in known]

    def _load_runs(self, ids: list[str]) -> None:
        self._runs.update(dict.fromkeys(ids))
        self._runs.update((run.id, run) for run in run_facts.load(self._ledger, ids))
        for id_ in ids:
            run = self._runs[id_]
            if run is not None and id_ not in self._only_above:
                self._want_around(run)

    def _want_around(self, run: RunFacts) -> None:
        above = (run.parent, run.reproduces)
        new = [one for one in above if one is not None and one not in self._runs]
        self._only_above.update(one for one in new if one not in self._wanted["run"])
        self._wanted["run"].update(dict.fromkeys(new))
        self.want("run", self.few(run.children))
        self.want("edges", [f"run:{run.id}", *([f"run:{run.parent}"] if run.parent else [])])
        data = self.few(run.inputs if self._upwards else run.outputs)
        self.want("passed", (one.oid for one in data))
        if not self._upwards:
            self.want("ran", (one.path for one in data))

    def _know_passed(self, oid: str) -> None:
        if oid not in self._writers:
            self._load_passed(self._take("passed", oid, self._writers))

    def _load_passed(self, oids: list[str]) -> None:
        self._writers.update((oid, []) for oid in oids)
        self._readers.update((oid, []) for oid in oids)
        for one in reading.passed(self._ledger, oids, written=self._upwards):
            found = self._writers if one.direction == "output" else self._readers
            found[one.oid].append(one.passed)
        for oid in oids:
            # upwards one of them is chosen by who reads it; mostly there is one
            likely = self._writers[oid][-1:] if self._upwards else self._readers[oid]
            self.want("run", self.few([*dict.fromkeys(one.run for one in likely)]))

    def _load_ran(self, paths: list[str]) -> None:
        self._ran.update((path, []) for path in paths)
        words = sorted({word for path in paths for word in commands.hints(path)})
        wanted = _by_name(paths)
        for row in reading.commands(self._ledger, words):
            ran = commands.programs(row.kind, row.command, row.directory, root=self._root)
            modules = commands.modules(row.kind, row.command)
            for path in {one for name in (*ran, *modules) for one in wanted.get(_name(name), ())}:
                if path in ran or path.endswith(tuple(f"/{name}" for name in modules)):
                    one = Passed(run=row.id, path=path, start=row.start, parent=row.parent)
                    self._ran[path].append(one)
        for path in paths:
            ids = {one.run for one in self._ran[path]}
            self._ran[path] = [one for one in self._ran[path] if one.parent not in ids]
            self.want("run", (one.run for one in self._ran[path]))

    def _load_edges(self, things: list[str]) -> None:
        self._edges.update((thing, []) for thing in things)
        end, other = ("target", "source") if self._upwards else ("source", "target")
        for one in reading.edges(self._ledger, things, upwards=self._upwards):
            if one not in self._edges[getattr(one, end)]:
                self._edges[getattr(one, end)].append(one)
        for thing in things:
            by_relation: dict[str, list[str]] = {}
            for one in self._edges[thing]:
                by_relation.setdefault(one.relation, []).append(getattr(one, other))
            for ends in by_relation.values():
                self._want_things(self.few(ends))

    def _want_things(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            kind, _, rest = id_.partition(":")
            if kind == "run":
                self.want("run", [rest])
            elif kind not in {"data", "commit"}:
                self.want("edges", [id_])
                self.want("thing", [id_])


def _by_name(paths: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(_name(path), []).append(path)
    return found


def _name(path: str) -> str:
    return path.rpartition("/")[2]
