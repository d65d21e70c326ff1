"""What things came from: by stored hashes, down to data, parameters, commits and alerts.

Where an edge is not on record, the tree says 'unknown: …' in its place; nothing is guessed. One
alert or decision is followed to what answered before, and no further: each model comes of the
alerts about the one before, back to the first.
"""

from __future__ import annotations

import msgspec

from assay.base.progress import counted
from assay.ledger.database import Ledger
from assay.ledger.values import folded
from assay.pipeline.origins import Origins
from assay.project.workspace import Project
from assay.trace import served, things
from assay.trace.facts import Passed, RunFacts
from assay.trace.nodes import Node, Walk
from assay.trace.things import Thing

_MOST_PARAMS = 40


class Up(Walk):
    """Goes from things to what they came from."""

    def __init__(self, project: Project, ledger: Ledger, *, root: str, most: int | None) -> None:
        super().__init__(project, ledger, root=root, most=most)
        self._origins = Origins(project)

    def of(self, thing: Thing, reader: RunFacts | None) -> list[Node]:
        """Return what a thing came from; `reader` is the run that read a content."""
        if thing.kind == "metric":
            return [self._of_metric(thing)]
        if thing.kind == "run":
            return self._of_run(self.run(things.run_id(thing)))
        if thing.kind in served.KINDS:
            return self._served(thing)
        writer = self._writer(thing, reader)
        if writer is not None:
            return [self._node(self.thing(writer), "written by", writer)]
        oid = thing.id.removeprefix("data:")
        if not oid.startswith("md5:"):  # of no file that git or a record could have
            return []
        owner = None if reader is None else self._owner(reader)
        found = self._origins.of(thing.path or "", oid.removeprefix("md5:"), owner)
        return [Node(**msgspec.structs.asdict(found))]

    def _node(self, thing: Thing, relation: str, reader: RunFacts | None) -> Node:
        node = self.is_new(thing, relation)
        if node is not None:
            return node
        self.depth += 1
        children = self.of(thing, reader)
        self.depth -= 1
        return Node(id=thing.id, label=thing.label, relation=relation, children=children)

    def _of_metric(self, thing: Thing) -> Node:
        if thing.run is None:
            oid = (thing.source or "").removeprefix("data:")
            data = things.of_data(oid, path=thing.path or "")
            return self._node(data, "read from", None)
        run = self._stage_with_metric(self.run(thing.run), thing)
        return self._node(things.of_run(run), "logged by", run)

    def _stage_with_metric(self, run: RunFacts, thing: Thing) -> RunFacts:
        """Return the stage that logged a metric that its pipeline's run summed up."""
        if _has_its_own(run):
            return run
        name = thing.id.partition("/")[2]
        self.facts.want("run", run.children)
        for child in run.children:
            if name in self.run(child).metrics:
                return self.run(child)
        return run

    def _served(self, thing: Thing) -> list[Node]:
        """Return what a bundle, a version, an answer, an alert or a decision came from."""
        edges = [] if thing.kind == "prediction" else self.facts.edges(thing.id)
        found = served.came_from(thing, edges)
        if thing.kind == "alert" and thing.id != self.root:
            return [self.leaf(id_, how) for how, id_ in found]
        nodes: list[Node] = []
        if thing.kind == "version" and thing.id == self.root:
            deployed = served.decisions_to_deploy(self.ledger, thing)
            nodes = self._decided(deployed, "deployed by")
        for how, id_ in self.facts.few(found):
            if how == served.CAME_FROM["judged"]:
                nodes += self._decided([id_], how)
            else:
                nodes.append(self._up_to(id_, how))
        shown = len(self.facts.few(found))
        return nodes + self.more(thing.id, "sources", len(found), shown)

    def _decided(self, ids: list[str], how: str) -> list[Node]:
        """Return decisions that the tree does not have yet."""
        return [self._up_to(id_, how) for id_ in ids if id_ not in self.seen]

    def _up_to(self, id_: str, how: str) -> Node:
        thing = self.by_id(id_)
        return thing if isinstance(thing, Node) else self._node(thing, how, None)

    def _of_run(self, run: RunFacts) -> list[Node]:
        nodes: list[Node] = []
        edges = self.facts.edges(f"run:{run.parent or run.id}")
        for relation in ("started", "reused"):
            nodes += self._decided(served.sources(edges, relation), f"{relation} by")
        if run.parent is not None:
            edges = self.facts.edges(f"run:{run.id}")
        models = [
            source
            for source in served.sources(edges, "read_by")
            if source.startswith("logged_model:")
        ]
        nodes += [self._up_to(id_, "read") for id_ in self.facts.few(models)]
        nodes += self.more(run.id, "models", len(models), len(self.facts.few(models)))
        return nodes + self._read(run)

    def _read(self, run: RunFacts) -> list[Node]:
        nodes: list[Node] = []
        if _has_its_own(run):
            shown = self.facts.few(run.inputs)
            nodes += [
                self._node(things.of_data(data.oid, path=data.path), "read", run) for data in shown
            ]
            nodes += self.more(run.id, "files", len(run.inputs), len(shown))
        if run.kind != "stage":
            parts = self.facts.few(run.children)
            nodes += [self._node(things.of_run(one), "ran", one) for one in map(self.run, parts)]
            nodes += self.more(run.id, "runs", len(run.children), len(parts))
        if run.params and _has_its_own(run):
            nodes.append(self._params(run))
        nodes.append(self._code(run))
        return nodes

    def _params(self, run: RunFacts) -> Node:
        pairs = [f"{key}={value}" for key, value in folded(run.params).items()]
        more = f", and {len(pairs) - 40} more" if len(pairs) > _MOST_PARAMS else ""
        return Node(
            id=f"params:{run.id}",
            label=", ".join(pairs[:_MOST_PARAMS]) + more,
            relation="with parameters",
        )

    def _code(self, run: RunFacts) -> Node:
        code = self._owner(run).code
        if code.commit is None:
            why = code.reason or "no commit is on record"
            return Node(id=f"code:{run.id}", label=f"unknown: {why}", relation="code of")
        beside = []
        if code.diff:
            beside.append("uncommitted changes")
        if code.untracked:
            beside.append(counted(len(code.untracked), "untracked file"))
        more = f" with {' and '.join(beside)}" if beside else ""
        return Node(
            id=f"commit:{code.commit}",
            label=f"commit {code.commit[:12]}{more}",
            relation="code of",
        )

    def _owner(self, run: RunFacts) -> RunFacts:
        while run.code.commit is None and run.parent is not None:
            run = self.run(run.parent)
        if run.kind == "reproduction" and run.reproduces is not None:
            return self.facts.run(run.reproduces) or run
        return run

    def _writer(self, thing: Thing, reader: RunFacts | None) -> RunFacts | None:
        """Return the stage run that wrote a content: of the reader's pipeline, or the last before.

        The same content may have been written many times: by a reproduction, say.
        """
        writers = self.facts.passed(thing.id.removeprefix("data:"))
        if reader is not None:
            writers = [w for w in writers if w.start <= reader.start and w.run != reader.id]
            siblings = [w for w in writers if w.parent is not None and w.parent == reader.parent]
            if siblings:
                return self.run(siblings[-1].run)
        same_path = [w for w in writers if w.path == thing.path]
        first_hand = [w for w in same_path or writers if not w.is_reproduction]
        chosen: list[Passed] = first_hand or same_path or writers
        return self.run(chosen[-1].run) if chosen else None


def _has_its_own(run: RunFacts) -> bool:
    """Tell whether what is on record of a run is its own, not the sum of its stages."""
    return run.kind in {"stage", "script"} or not run.children
