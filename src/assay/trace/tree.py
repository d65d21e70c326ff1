"""Follow a thing in both directions, edge by edge, each found by a stored hash.

Where an edge is not on record, the tree says 'unknown: …' in its place; nothing is guessed. One
alert or decision is followed to what answered before or after it, and no further: each model
comes of the alerts about the one before, back to the first.
"""

from __future__ import annotations

import msgspec

from assay.base.errors import NotFound
from assay.base.progress import counted
from assay.ledger import lineage, runs
from assay.ledger.database import Ledger
from assay.ledger.runs import Run
from assay.ledger.values import folded
from assay.pipeline.origins import Origins
from assay.project.workspace import Project
from assay.trace import served, things
from assay.trace.things import Thing

ABOVE, OWN = "  (see above)", "  (has a trace of its own)"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in a tree of what it came from, or of what came from it."""

    id: str
    label: str
    relation: str
    children: list[Node] = []


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A thing with both of its trees."""

    thing: Thing
    came_from: list[Node]
    led_to: list[Node]


def trace(project: Project, ledger: Ledger, thing: Thing) -> Trace:
    """Return what a thing came from, and what came from it."""
    walk = _Walk(project, ledger, root=thing.id)
    return Trace(
        thing=thing, came_from=walk.up(thing, None, set()), led_to=walk.down(thing, set())
    )


class _Walk:
    """Looks things up once each."""

    def __init__(self, project: Project, ledger: Ledger, *, root: str) -> None:
        self._project, self._ledger, self._root = project, ledger, root
        self._runs: dict[str, Run] = {}
        self._origins = Origins(project)

    def run(self, id_: str) -> Run:
        if id_ not in self._runs:
            self._runs[id_] = runs.get(self._ledger, id_)
        return self._runs[id_]

    def up(self, thing: Thing, reader: Run | None, seen: set[str]) -> list[Node]:
        """Return what a thing came from; `reader` is the run that read a content."""
        if thing.kind == "metric":
            run = self._stage_with_metric(self.run(things.run_id(thing)), thing)
            return [self._node(things.of_run(run), "logged by", run, seen)]
        if thing.kind == "run":
            return self._sources(self.run(things.run_id(thing)), seen)
        if thing.kind in served.KINDS:
            return self._served(thing, seen)
        writer = self._writer(thing, reader)
        if writer is not None:
            return [self._node(self._thing(writer), "written by", writer, seen)]
        oid = thing.id.removeprefix("data:md5:")
        owner = None if reader is None else self._owner(reader)
        origin = self._origins.of(thing.path or "", oid, owner)
        return [Node(**msgspec.structs.asdict(origin))]

    def _served(self, thing: Thing, seen: set[str]) -> list[Node]:
        """Return what a bundle, a version, an answer, an alert or a decision came from."""
        found = served.came_from(self._ledger, thing)
        if thing.kind == "alert" and thing.id != self._root:
            return [self._leaf(id_, how, seen) for how, id_ in found]
        nodes = []
        if thing.kind == "version" and thing.id == self._root:
            deployed = served.decisions_to_deploy(self._ledger, thing)
            nodes = self._decided(deployed, "deployed by", seen)
        for how, id_ in found:
            if how == served.CAME_FROM["judged"]:
                nodes += self._decided([id_], how, seen)
            else:
                nodes.append(self._up_to(id_, how, seen))
        return nodes

    def _decided(self, ids: list[str], how: str, seen: set[str]) -> list[Node]:
        """Return decisions that the tree does not have yet."""
        return [self._up_to(id_, how, seen) for id_ in ids if id_ not in seen]

    def _up_to(self, id_: str, how: str, seen: set[str]) -> Node:
        thing = self._by_id(id_)
        return thing if isinstance(thing, Node) else self._node(thing, how, None, seen)

    def _leaf(self, id_: str, how: str, seen: set[str]) -> Node:
        """Return a thing that is followed no further here."""
        thing = self._by_id(id_)
        if isinstance(thing, Node):
            return thing
        more = ABOVE if id_ in seen else OWN
        return Node(id=thing.id, label=f"{thing.label}{more}", relation=how)

    def _by_id(self, id_: str) -> Thing | Node:
        """Return a thing by its name in the ledger, or a node that says that it is gone."""
        try:
            if id_.startswith("run:"):
                return self._thing(self.run(id_.removeprefix("run:")))
            return served.of(self._ledger, id_)
        except NotFound as error:
            return Node(id=f"unknown:{id_}", label=f"unknown: {error.what}", relation="")

    def _thing(self, run: Run) -> Thing:
        thing = things.of_run(run)
        if not self._is_reproduction(run):
            return thing
        return msgspec.structs.replace(thing, label=f"{thing.label}, done again")

    def _stage_with_metric(self, run: Run, thing: Thing) -> Run:
        """Return the stage that logged a metric that its pipeline's run summed up."""
        name = thing.id.partition("/")[2]
        for child in run.children:
            if name in self.run(child).metrics:
                return self.run(child)
        return run

    def _node(self, thing: Thing, relation: str, reader: Run | None, seen: set[str]) -> Node:
        if thing.id in seen:
            return Node(id=thing.id, label=f"{thing.label}{ABOVE}", relation=relation)
        seen.add(thing.id)
        children = self.up(thing, reader, seen)
        return Node(id=thing.id, label=thing.label, relation=relation, children=children)

    def _sources(self, run: Run, seen: set[str]) -> list[Node]:
        nodes: list[Node] = []
        for relation in ("started", "reused"):
            found = served.decisions_to_run(self._ledger, run.parent or run.id, relation)
            nodes += self._decided(found, f"{relation} by", seen)
        return nodes + self._read(run, seen)

    def _read(self, run: Run, seen: set[str]) -> list[Node]:
        if run.kind == "stage" or not run.children:
            nodes = [
                self._node(things.of_data(data.oid, path=data.path), "read", run, seen)
                for data in run.inputs
            ]
        else:
            nodes = [
                self._node(things.of_run(self.run(c)), "ran", self.run(c), seen)
                for c in run.children
            ]
        params = ", ".join(f"{key}={value}" for key, value in folded(run.params).items())
        if params and run.kind == "stage":
            nodes.append(Node(id=f"params:{run.id}", label=params, relation="with parameters"))
        nodes.append(self._code(run))
        return nodes

    def _code(self, run: Run) -> Node:
        owner = self._owner(run)
        code = owner.code
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

    def _owner(self, run: Run) -> Run:
        while run.code.commit is None and run.parent is not None:
            run = self.run(run.parent)
        if run.kind == "reproduction" and "reproduces" in run.tags:
            return self.run(run.tags["reproduces"])
        return run

    def _writer(self, thing: Thing, reader: Run | None) -> Run | None:
        """Return the stage run that wrote a content: of the reader's pipeline, or the last before.

        The same content may have been written many times: by a reproduction, say.
        """
        edges = lineage.edges_to(self._ledger, thing.id)
        writers = [self.run(e.source.removeprefix("run:")) for e in edges if e.relation == "wrote"]
        writers = [w for w in writers if w.kind in {"stage", "script"}]
        if reader is not None:
            writers = [w for w in writers if w.start <= reader.start and w.id != reader.id]
            siblings = [w for w in writers if w.parent == reader.parent]
            if siblings:
                return siblings[-1]
        same_path = [w for w in writers if any(d.path == thing.path for d in w.outputs)]
        first_hand = [w for w in same_path or writers if not self._is_reproduction(w)]
        chosen = first_hand or same_path or writers
        return chosen[-1] if chosen else None

    def _is_reproduction(self, run: Run) -> bool:
        return run.parent is not None and self.run(run.parent).kind == "reproduction"

    def down(self, thing: Thing, seen: set[str]) -> list[Node]:
        """Return what came from a thing."""
        if thing.kind == "metric":
            return []
        if thing.kind == "run":
            return self._made(self.run(things.run_id(thing)), seen)
        if thing.kind in served.KINDS:
            return self._followed(thing.id, seen)
        edges = lineage.edges_from(self._ledger, thing.id)
        readers = [
            self.run(e.target.removeprefix("run:")) for e in edges if e.relation == "read_by"
        ]
        return [self._below(self._thing(r), "read by", seen) for r in readers if r.kind == "stage"]

    def _below(self, thing: Thing, relation: str, seen: set[str]) -> Node:
        if thing.id in seen:
            return Node(id=thing.id, label=f"{thing.label}{ABOVE}", relation=relation)
        seen.add(thing.id)
        return Node(
            id=thing.id, label=thing.label, relation=relation, children=self.down(thing, seen)
        )

    def _made(self, run: Run, seen: set[str]) -> list[Node]:
        if run.kind != "stage" and run.children:
            return [
                self._below(things.of_run(self.run(child)), "ran", seen) for child in run.children
            ]
        nodes = [
            self._below(things.of_data(data.oid, path=data.path), "wrote", seen)
            for data in run.outputs
        ]
        nodes += [
            Node(
                id=f"metric:{run.id}/{key}",
                label=f"metric {key} = {metric.value:.6g}",
                relation="logged",
            )
            for key, metric in run.metrics.items()
        ]
        return nodes + self._followed(f"run:{run.id}", seen, only="made")

    def _followed(self, id_: str, seen: set[str], *, only: str | None = None) -> list[Node]:
        """Return what the edges of the ledger lead to, from a bundle to its deployments."""
        found = [one for one in served.led_to(self._ledger, id_) if only in {None, one[0]}]
        if id_.startswith("decision:") and id_ != self._root:
            return [self._leaf(target, how, seen) for how, target in found]
        nodes: list[Node] = []
        for how, target in found:
            thing = self._by_id(target)
            nodes.append(thing if isinstance(thing, Node) else self._below(thing, how, seen))
        return nodes


def text(found: Trace) -> str:
    """Draw both trees with lines."""
    parts = [found.thing.label]
    for title, nodes in (("came from", found.came_from), ("led to", found.led_to)):
        parts.append(f"\n{title}:" if nodes else f"\n{title}: nothing on record")
        parts += _lines(nodes, "")
    return "\n".join(parts)


def _lines(nodes: list[Node], prefix: str) -> list[str]:
    lines = []
    for number, node in enumerate(nodes, 1):
        last = number == len(nodes)
        what = f"{node.relation} {node.label}".strip()
        lines.append(f"{prefix}{'└─ ' if last else '├─ '}{what}")
        lines += _lines(node.children, prefix + ("   " if last else "│  "))
    return lines


def mermaid(found: Trace) -> str:
    """Return both trees as one Mermaid flowchart, from source to result."""
    names: dict[str, str] = {}
    lines = ["flowchart TD"]

    def name(id_: str, label: str) -> str:
        if id_ not in names:
            names[id_] = f"node{len(names) + 1}"
            safe = label.replace(ABOVE, "").replace(OWN, "").replace('"', "'")
            lines.append(f'\t{names[id_]}["{safe}"]')
        return names[id_]

    def draw(id_: str, label: str, nodes: list[Node], *, upwards: bool) -> None:
        here = name(id_, label)
        for node in nodes:
            there = name(node.id, node.label)
            edge = f"\t{there}-->{here}" if upwards else f"\t{here}-->{there}"
            if edge not in lines:
                lines.append(edge)
            draw(node.id, node.label, node.children, upwards=upwards)

    draw(found.thing.id, found.thing.label, found.came_from, upwards=True)
    draw(found.thing.id, found.thing.label, found.led_to, upwards=False)
    return "\n".join(lines)
