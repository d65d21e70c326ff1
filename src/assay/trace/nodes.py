"""The nodes of a trace, and what it takes to make them, in whichever direction.

A thing that is in the tree already is not followed again, so that there is an end; of many things
of one kind the newest are followed, and the others counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import msgspec

from assay.ledger.database import Ledger
from assay.ledger.writer import Code
from assay.pipeline.origins import Origin, Origins
from assay.project.workspace import Project
from assay.trace import commands, served, things
from assay.trace.facts import Facts
from assay.trace.run_facts import RunFacts
from assay.trace.things import Thing
from assay.trace.versions import Version, Versions
from assay.trace.writers import Passed, chosen

ABOVE, OWN = "  (see above)", "  (has a trace of its own)"

MOST = 10
"""Things of one kind that come of another, or it came from, and are followed."""

HAS_PART, PART_OF = "has part", "part of"

DEEPEST = 60
"""Things one below the other; what lies deeper has a trace of its own."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in a tree of what it came from, or of what came from it.

    Attributes
    ----------
    more : int
        How many things stand behind this node that says 'and 990 more'; 0 for a thing itself.
    """

    id: str
    label: str
    relation: str
    children: list[Node] = []
    more: int = 0


class Walk(ABC):
    """What both directions share: things, looked up once each, and those that are in the tree.

    Attributes
    ----------
    seen : set of str
        Things that are followed, by their names in the ledger; the root is one. A content is
        followed once for each run that wrote it, see `assay.trace.writers`.
    """

    upwards = True
    to_part = HAS_PART

    def __init__(
        self, project: Project, ledger: Ledger, *, root: Thing, most: int | None
    ) -> None:  # fmt: skip
        self.project, self.ledger, self.root = project, ledger, root.id
        self.facts = Facts(ledger, root=project.root, most=most, upwards=self.upwards)
        self.origins = Origins(project)
        self.versions = Versions(project, self.origins)
        self.seen = {root.id}
        self.depth = 0
        self._has_origin: dict[tuple[str, str, Code | None], bool] = {}

    def run(self, id_: str) -> RunFacts:
        """Return a run that a row of the ledger names."""
        found = self.facts.run(id_)
        if found is None:
            raise served.missing(f"run:{id_}")
        return found

    def by_id(self, id_: str) -> Thing | Node:
        """Return a thing by its name in the ledger, or a node that says that it is gone."""
        found: Thing | None
        if id_.startswith("run:"):
            run = self.facts.run(id_.removeprefix("run:"))
            found = None if run is None else self.thing(run)
        else:
            found = self.facts.thing(id_)
        if found is None:
            what = served.missing(id_).what
            return Node(id=f"unknown:{id_}", label=f"unknown: {what}", relation="")
        return found

    def leaf(self, id_: str, relation: str) -> Node:
        """Return a thing that is followed no further here."""
        thing = self.by_id(id_)
        if isinstance(thing, Node):
            return thing
        more = ABOVE if id_ in self.seen else OWN
        return Node(id=thing.id, label=f"{thing.label}{more}", relation=relation)

    def thing(self, run: RunFacts) -> Thing:
        """Return a run as a thing that says whether it is a reproduction's."""
        thing = things.of_run(run)
        if run.parent is None or self.run(run.parent).kind != "reproduction":
            return thing
        return msgspec.structs.replace(thing, label=f"{thing.label}, done again")

    def owner(self, run: RunFacts) -> RunFacts:
        """Return the run that has the code of a run on record: mostly itself, or one above it."""
        seen = {run.id}  # in a ledger of before, two clones may have made a circle
        while run.code.commit is None and run.parent is not None and run.parent not in seen:
            run = self.run(run.parent)
            seen.add(run.id)
        if run.kind == "reproduction" and run.reproduces is not None:
            return self.facts.run(run.reproduces) or run
        return run

    def writer(self, oid: str, *, path: str | None, reader: Passed | None) -> Passed | None:
        """Return the run that wrote a content which lies at a path, for a run that read it."""
        return chosen(
            self.facts.writers(oid),
            path=path,
            reader=reader,
            has_origin=lambda: self._has_its_origin(oid, path, reader),
        )

    def _has_its_origin(self, oid: str, path: str | None, reader: Passed | None) -> bool:
        """Tell whether a content lay at a path by a record of its own, at HEAD or for a run."""
        if path is None or not oid.startswith("md5:"):
            return False
        run = None if reader is None else self.run(reader.run)
        key = (oid, path, None if run is None else self.owner(run).code)
        if key not in self._has_origin:
            self._has_origin[key] = self.origin(oid, path=path, run=run).is_its_own
        return self._has_origin[key]

    def origin(self, oid: str, *, path: str, run: RunFacts | None) -> Origin:
        """Return where a content lay that no run wrote: for a run, by its code, else at HEAD.

        Without git there is no code on record, and what is tracked here counts.
        """
        owner = None if run is None or not self.project.uses_git else self.owner(run)
        return self.origins.of(path, oid.removeprefix("md5:"), owner)

    def above(self, run: RunFacts) -> RunFacts | None:
        """Return the run that a run was nested in, if that has a record of its own."""
        parent = None if run.parent is None else self.run(run.parent)
        return parent if parent is not None and has_its_own(parent) else None

    def programs(self, run: RunFacts) -> list[tuple[str, str]]:
        """Return the files that a run's command ran, by path and hash, as far as both are known.

        What it read or wrote by its record is not among them, nor what the run above it ran.
        """
        known = {one.path for one in (*run.inputs, *run.outputs)}
        above = self.above(run)
        if above is not None:
            known.update(self.named(above))
        paths = [path for path in self.named(run) if path not in known and self.had(path, run)]
        found = ((path, self.version(path, run).oid) for path in paths)
        return [(path, oid) for path, oid in found if oid is not None]

    def named(self, run: RunFacts) -> list[str]:
        """Return the files that a run's command names as what it runs.

        A module that is not below the run's folder is the one file of its code that ends so.
        """
        found = commands.programs(run.kind, run.command, run.directory, root=self.project.root)
        modules = commands.modules(run.kind, run.command)
        if not modules or any(self.had(path, run) for path in found):
            return found
        return found + self.versions.only_ending(modules, self.owner(run))

    def had(self, path: str, run: RunFacts) -> bool:
        """Tell whether it is on record that a run had a file as its code or as an input."""
        if any(one.path == path for one in run.outputs):
            return False
        if any(one.path == path for one in run.inputs):
            return True
        return self.versions.has(path, self.owner(run))

    def version(self, path: str, run: RunFacts) -> Version:
        """Return in which version a run had a file."""
        for one in run.inputs:
            if one.path == path:
                return Version(oid=one.oid, words="as it read it")
        return self.versions.of(path, self.owner(run))

    def is_new(self, thing: Thing, relation: str, *, key: str | None = None) -> Node | None:
        """Return the node of a thing that is not followed; None where it is to be.

        Parameters
        ----------
        key : str, optional
            What it is remembered by, where a part of it is followed; the name of the thing else.
        """
        if not self.seen.isdisjoint({thing.id, key or thing.id}):
            return Node(id=thing.id, label=f"{thing.label}{ABOVE}", relation=relation)
        if self.depth >= DEEPEST:
            return Node(id=thing.id, label=f"{thing.label}{OWN}", relation=relation)
        self.seen.add(key or thing.id)
        return None

    def follow(
        self,
        thing: Thing,
        relation: str,
        follow: Callable[[], list[Node]],
        *,
        key: str | None = None,
    ) -> Node:
        """Return the node of a thing with what it is followed to, unless it is in the tree."""
        node = self.is_new(thing, relation, key=key)
        if node is not None:
            return node
        self.depth += 1
        children = follow()
        self.depth -= 1
        return Node(id=thing.id, label=thing.label, relation=relation, children=children)

    @abstractmethod
    def within(self, run: RunFacts) -> list[Node]:
        """Return what is below a run and the runs within it."""

    @abstractmethod
    def itself(self, run: RunFacts) -> list[Node]:
        """Return what is below a run without the runs within it, and below what it is part of."""

    def parts(self, run: RunFacts) -> list[Node]:
        """Return the runs that ran within one; for them, it is above in the tree."""
        shown = self.facts.few(run.children)
        nodes = [
            self.follow(things.of_run(part), self.to_part, partial(self.within, part))
            for part in map(self.run, shown)
        ]
        return nodes + self.more(run.id, "runs", len(run.children), len(shown))

    def part_of(self, run: RunFacts) -> list[Node]:
        """Return the run that this one is nested in, without the others that are."""
        above = self.above(run)
        if above is None:
            return []
        key = f"run:{above.id} itself"
        below = partial(self.itself, above)
        return [self.follow(things.of_run(above), PART_OF, below, key=key)]

    def more(self, of: str, nouns: str, n_all: int, n_shown: int) -> list[Node]:
        """Return the node that counts what is not followed."""
        more = n_all - n_shown
        if more <= 0:
            return []
        label = f"… and {more:,} more {nouns}"
        return [Node(id=f"more:{of}/{nouns}", label=label, relation="", more=more)]


def has_its_own(run: RunFacts) -> bool:
    """Tell whether what is on record of a run is its own, not the sum of its stages."""
    return run.kind in {"stage", "script"} or not run.children


def as_passed(run: RunFacts, path: str | None) -> Passed:
    """Return a run as one that a content passed, to ask who wrote that."""
    return Passed(run=run.id, path=path or "", start=run.start, parent=run.parent)
