"""What came from things: runs that read them, what those made, models, endpoints, alerts."""

from __future__ import annotations

from assay.trace import served, things
from assay.trace.facts import Lying, RunFacts
from assay.trace.nodes import Node, Walk
from assay.trace.things import Thing


class Down(Walk):
    """Goes from things to what came from them."""

    upwards = False

    def of(self, thing: Thing) -> list[Node]:
        """Return what came from a thing."""
        if thing.kind == "metric":
            return []
        if thing.kind == "run":
            return self._made(self.run(things.run_id(thing)))
        if thing.kind in served.KINDS:
            return self._followed(thing.id)
        readers = [one.run for one in self.facts.passed(thing.id.removeprefix("data:"))]
        shown = self.facts.few(readers)
        nodes = [self._node(self.thing(self.run(one)), "read by") for one in shown]
        return nodes + self.more(thing.id, "runs", len(readers), len(shown))

    def _node(self, thing: Thing, relation: str) -> Node:
        node = self.is_new(thing, relation)
        if node is not None:
            return node
        self.depth += 1
        children = self.of(thing)
        self.depth -= 1
        return Node(id=thing.id, label=thing.label, relation=relation, children=children)

    def _made(self, run: RunFacts) -> list[Node]:
        if run.kind != "stage" and run.children:
            parts = self.facts.few(run.children)
            nodes = [self._node(things.of_run(part), "ran") for part in map(self.run, parts)]
            nodes += self.more(run.id, "runs", len(run.children), len(parts))
            return nodes if run.kind != "script" else [*nodes, *self._own(run)]
        return self._own(run)

    def _own(self, run: RunFacts) -> list[Node]:
        """Return what a run made itself: data, metrics, artifacts, models."""
        data = self.facts.few(run.outputs)
        nodes = [self._node(things.of_data(d.oid, path=d.path), "wrote") for d in data]
        nodes += self.more(run.id, "files", len(run.outputs), len(data))
        metrics = self.facts.few([*run.metrics.items()])
        nodes += [
            Node(
                id=f"metric:{run.id}/{key}",
                label=f"metric {key} = {value:.6g}",
                relation="logged",
            )
            for key, value in metrics
        ]
        nodes += self.more(run.id, "metrics", len(run.metrics), len(metrics))
        return [*nodes, *self._kept(run), *self._followed(f"run:{run.id}", only="made")]

    def _kept(self, run: RunFacts) -> list[Node]:
        shown = self.facts.few(run.artifacts)
        nodes = [self._artifact(run, one) for one in shown]
        return nodes + self.more(run.id, "artifacts", len(run.artifacts), len(shown))

    @staticmethod
    def _artifact(run: RunFacts, one: Lying) -> Node:
        algorithm, colon, digest = one.oid.rpartition(":")
        label = f"artifact {one.path}  {algorithm}{colon}{digest[:8]}"
        return Node(id=f"artifact:{run.id}/{one.path}", label=label, relation="kept")

    def _followed(self, id_: str, *, only: str | None = None) -> list[Node]:
        """Return what the edges of the ledger lead to, from a bundle to its deployments."""
        found = served.led_to(self.facts.edges(id_))
        if id_.startswith("decision:") and id_ != self.root:
            return [self.leaf(target, how) for how, target in found]
        nodes: list[Node] = []
        for how in dict.fromkeys(how for how, _ in found if only in {None, how}):
            targets = [target for other, target in found if other == how]
            shown = self.facts.few(targets)
            nodes += [self._down_to(target, how) for target in shown]
            nodes += self.more(id_, f"{how} so", len(targets), len(shown))
        return nodes

    def _down_to(self, id_: str, how: str) -> Node:
        thing = self.by_id(id_)
        return thing if isinstance(thing, Node) else self._node(thing, how)
