"""The nodes of a trace, and what it takes to make them, in whichever direction.

A thing that is in the tree already is not followed again, so that there is an end; of many things
of one kind the newest are followed, and the others counted.
"""

from __future__ import annotations

import msgspec

from assay.ledger.database import Ledger
from assay.project.workspace import Project
from assay.trace import served, things
from assay.trace.facts import Facts, RunFacts
from assay.trace.things import Thing

ABOVE, OWN = "  (see above)", "  (has a trace of its own)"

MOST = 10
"""Things of one kind that come of another, or it came from, and are followed."""

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


class Walk:
    """What both directions share: things, looked up once each, and those that are in the tree."""

    upwards = True

    def __init__(self, project: Project, ledger: Ledger, *, root: str, most: int | None) -> None:
        self.project, self.ledger, self.root = project, ledger, root
        self.facts = Facts(ledger, most=most, upwards=self.upwards)
        self.seen: set[str] = set()
        self.depth = 0

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

    def is_new(self, thing: Thing, relation: str) -> Node | None:
        """Return the node of a thing that is not followed; None where it is to be."""
        if thing.id in self.seen:
            return Node(id=thing.id, label=f"{thing.label}{ABOVE}", relation=relation)
        if self.depth >= DEEPEST:
            return Node(id=thing.id, label=f"{thing.label}{OWN}", relation=relation)
        self.seen.add(thing.id)
        return None

    def more(self, of: str, nouns: str, n_all: int, n_shown: int) -> list[Node]:
        """Return the node that counts what is not followed."""
        more = n_all - n_shown
        if more <= 0:
            return []
        label = f"… and {more:,} more {nouns}"
        return [Node(id=f"more:{of}/{nouns}", label=label, relation="", more=more)]
