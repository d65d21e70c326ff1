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
from assay.project.workspace import Project
from assay.trace import reading, served, things
from assay.trace.nodes import ABOVE, Node, Walk, as_passed, has_its_own
from assay.trace.run_facts import Lying, RunFacts
from assay.trace.things import Thing
from assay.trace.writers import Passed

_MOST_PARAMS = 40
_MODELS = ("logged_model:", "version:", "bundle:")


class Up(Walk):
    """Goes from things to what they came from."""

    def __init__(
        self, project: Project, ledger: Ledger, *, root: Thing, most: int | None
    ) -> None:  # fmt: skip
        super().__init__(project, ledger, root=root, most=most)
        if root.kind == "data":
            self.seen = {_key(root, self._writer(root, None))}

    def of(self, thing: Thing, reader: RunFacts | None) -> list[Node]:
        """Return what a thing came from; `reader` is the run that read a content."""
        if thing.kind == "metric":
            return [self._of_metric(thing)]
        if thing.kind == "run":
            return self._of_run(self.run(things.run_id(thing)))
        if thing.kind in served.KINDS:
            return self._served(thing)
        return self._of_data(thing, reader, self._writer(thing, reader))

    def _of_data(
        self, thing: Thing, reader: RunFacts | None, writer: Passed | None
    ) -> list[Node]:  # fmt: skip
        if writer is not None:
            return [self._wrote(writer, "written by")]
        keeper = self._keeper(thing)
        if keeper is not None:
            return [self._wrote(keeper, "kept by")]
        oid = thing.id.removeprefix("data:")
        if not oid.startswith("md5:"):  # of no file that git or a record could have
            return []
        found = self.origin(oid, path=thing.path or "", run=reader)
        return [Node(id=found.id, label=found.label, relation=found.relation)]

    def _keeper(self, thing: Thing) -> Passed | None:
        """Return the last run that has a content among its artifacts and not from its code."""
        if thing.kept is None:
            return None
        path, oid = thing.path or "", thing.id.removeprefix("data:md5:")
        keepers = self.facts.few(self.facts.keepers(thing.kept))
        self.facts.want("run", (one.run for one in keepers))
        for one in reversed(keepers):
            if not self.origins.of(path, oid, self.owner(self.run(one.run))).is_known:
                return one
        return None

    def _wrote(self, writer: Passed, relation: str) -> Node:
        return self._node(self.thing(self.run(writer.run)), relation)

    def _node(self, thing: Thing, relation: str) -> Node:
        return self.follow(thing, relation, lambda: self.of(thing, None))

    def _data(self, thing: Thing, relation: str, reader: RunFacts | None) -> Node:
        """Return a content that a run had, followed to the run that wrote it for that one."""
        writer = self._writer(thing, reader)
        return self.follow(
            thing,
            relation,
            lambda: self._of_data(thing, reader, writer),
            key=_key(thing, writer),
        )

    def _writer(self, thing: Thing, reader: RunFacts | None) -> Passed | None:
        by = None if reader is None else as_passed(reader, thing.path)
        return self.writer(thing.id.removeprefix("data:"), path=thing.path, reader=by)

    def _of_metric(self, thing: Thing) -> Node:
        if thing.run is None:
            oid = (thing.source or "").removeprefix("data:")
            data = things.of_data(oid, path=thing.path or "", kept=thing.kept)
            return self._data(data, "read from", None)
        run = self._stage_with_metric(self.run(thing.run), thing)
        return self._node(things.of_run(run), "logged by")

    def _stage_with_metric(self, run: RunFacts, thing: Thing) -> RunFacts:
        """Return the stage that logged a metric that its pipeline's run summed up."""
        if has_its_own(run):
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
            deployed = reading.decisions_to_deploy(self.ledger, thing.id)
            nodes = self._decided(deployed, "deployed by")
        for how, id_ in self.facts.few(found):
            if how == served.CAME_FROM["judged"]:
                nodes += self._decided([id_], how)
            elif thing.kind != "version" or not id_.startswith("run:") or id_ not in self.seen:
                nodes.append(self._up_to(id_, how))
        shown = len(self.facts.few(found))
        return nodes + self.more(thing.id, "sources", len(found), shown)

    def _decided(self, ids: list[str], how: str) -> list[Node]:
        """Return decisions that the tree does not have yet."""
        return [self._up_to(id_, how) for id_ in ids if id_ not in self.seen]

    def _up_to(self, id_: str, how: str) -> Node:
        thing = self.by_id(id_)
        return thing if isinstance(thing, Node) else self._node(thing, how)

    def _of_run(self, run: RunFacts) -> list[Node]:
        nodes: list[Node] = []
        edges = self.facts.edges(f"run:{run.parent or run.id}")
        for relation in ("started", "reused"):
            nodes += self._decided(served.sources(edges, relation), f"{relation} by")
        return [*nodes, *self.within(run), *self.part_of(run)]

    def _own(self, run: RunFacts) -> list[Node]:
        """Return what a run itself had: models, data, and the file that ran."""
        if not has_its_own(run):
            return []
        edges = self.facts.edges(f"run:{run.id}")
        models = [one for one in served.sources(edges, "read_by") if one.startswith(_MODELS)]
        models.sort(key=lambda one: _MODELS.index(f"{one.partition(':')[0]}:"))
        few = self.facts.few(models)  # the bundle of a version comes after it
        nodes = [self._up_to(id_, "read") for id_ in few if id_ not in self.seen]
        nodes += self.more(run.id, "models", len(models), len(few))
        shown = self.facts.few(run.inputs)
        nodes += [self._input(one, run) for one in shown]
        nodes += self.more(run.id, "files", len(run.inputs), len(shown))
        programs = [things.of_data(oid, path=path) for path, oid in self.programs(run)]
        return nodes + [self._data(program, "ran", run) for program in programs]

    def _input(self, data: Lying, reader: RunFacts) -> Node:
        """Return what a run read; of what is no file of ours, where it is said to be from."""
        node = self._data(things.of_data(data.oid, path=data.path), "read", reader)
        if node.children or ":" in data.oid or data.source is None or node.label.endswith(ABOVE):
            return node
        said = Node(id=f"source:{data.oid}", label=data.source, relation="said to be from")
        return msgspec.structs.replace(node, children=[said])

    def _about(self, run: RunFacts) -> list[Node]:
        params = [self._params(run)] if run.params and has_its_own(run) else []
        return [*params, self._code(run)]

    def within(self, run: RunFacts) -> list[Node]:
        """Return what a run and its parts came from."""
        return [*self._own(run), *self.parts(run), *self._about(run)]

    def itself(self, run: RunFacts) -> list[Node]:
        """Return what a run came from without its parts."""
        return [*self._own(run), *self._about(run), *self.part_of(run)]

    def _params(self, run: RunFacts) -> Node:
        pairs = [f"{key}={value}" for key, value in folded(run.params).items()]
        more = f", and {len(pairs) - _MOST_PARAMS} more" if len(pairs) > _MOST_PARAMS else ""
        return Node(
            id=f"params:{run.id}",
            label=", ".join(pairs[:_MOST_PARAMS]) + more,
            relation="with parameters",
        )

    def _code(self, run: RunFacts) -> Node:
        code = self.owner(run).code
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


def _key(thing: Thing, writer: Passed | None) -> str:
    """Return what a content is remembered by: one that several runs wrote came from each.

    One that no run wrote came from where it lies.
    """
    return f"{thing.id} {f'at {thing.path}' if writer is None else f'of {writer.run}'}"
