"""What came from things: runs that read them, what those made, models, endpoints, alerts."""

from __future__ import annotations

import msgspec

from assay.ledger.system import SYSTEM
from assay.objects.cache import DIR
from assay.trace import served, things
from assay.trace.nodes import Node, Walk, has_its_own
from assay.trace.run_facts import Lying, RunFacts
from assay.trace.things import Thing
from assay.trace.writers import Passed


class Down(Walk):
    """Goes from things to what came from them."""

    upwards = False
    to_part = "ran"

    def of(self, thing: Thing) -> list[Node]:
        """Return what came from a thing."""
        if thing.kind == "metric":
            return []
        if thing.kind == "run":
            run = self.run(things.run_id(thing))
            return [*self.within(run), *self.part_of(run)]
        if thing.kind in served.KINDS:
            return self._followed(thing.id)
        return self._of_data(thing, None)

    def _of_data(self, thing: Thing, writer: RunFacts | None) -> list[Node]:
        """Return who read a content or ran it; of many that wrote it, from the one given."""
        oids = [thing.id, *([thing.kept] if thing.kept else [])]
        passed = [one for oid in oids for one in self.facts.readers(oid.removeprefix("data:"))]
        passed.sort(key=lambda one: one.start)
        if writer is not None:
            at = {one.path for one in self.facts.writers(thing.id.removeprefix("data:"))}
            self.facts.want("run", (one.run for one in passed if one.path not in at))
        found = [one.run for one in passed if self._is_from(writer, thing, one)]
        readers = list(dict.fromkeys(found))
        shown = self.facts.few(readers)
        nodes = [self._node(self.thing(self.run(one)), "read by") for one in shown]
        nodes += self.more(thing.id, "runs", len(readers), len(shown))
        return nodes + self._ran(thing, writer, without=set(readers))

    def _is_from(self, writer: RunFacts | None, thing: Thing, reader: Passed) -> bool:
        """Tell whether what a run read is what another wrote, and no one else."""
        if writer is None:
            return True
        oid = thing.id.removeprefix("data:")
        found = self.writer(oid, path=reader.path, reader=reader)
        return found is not None and found.run == writer.id

    def _ran(self, thing: Thing, writer: RunFacts | None, *, without: set[str]) -> list[Node]:
        """Return the runs whose command ran a file, the newest first, and in which version.

        Of the root, in any version; of what is further down, in the one that is there.
        """
        path, oid = thing.path, thing.id.removeprefix("data:")
        if path is None or not oid.startswith("md5:") or oid.endswith(DIR):
            return []
        ran = [
            one
            for one in self.facts.ran(path)
            if one.run not in without and self._is_from(writer, thing, one)
        ]
        if thing.id == self.root:
            ran = [one for one in ran if self.had(path, self.run(one.run))]
        else:
            ran = [one for one in ran if self.version(path, self.run(one.run)).oid == oid]
        ran = [one for one in ran if path in self.named(self.run(one.run))]
        shown = self.facts.few(ran)
        nodes = [self._ran_as(thing, path, self.run(one.run)) for one in reversed(shown)]
        return nodes + self.more(f"{thing.id} ran", "runs of it", len(ran), len(shown))

    def _ran_as(self, thing: Thing, path: str, run: RunFacts) -> Node:
        version = self.version(path, run)
        which = "version unknown"
        if version.oid is not None:
            is_this = thing.id == f"data:{version.oid}"
            which = "this version" if is_this else f"version {version.oid[:12]}"
        found = self.thing(run)
        label = f"{found.label}  ({which}: {version.words})"
        return self._node(msgspec.structs.replace(found, label=label), "ran as")

    def _node(self, thing: Thing, relation: str) -> Node:
        return self.follow(thing, relation, lambda: self.of(thing))

    def within(self, run: RunFacts) -> list[Node]:
        """Return what a run and its parts made."""
        return [*self.parts(run), *self._own(run)]

    def itself(self, run: RunFacts) -> list[Node]:
        """Return what a run made without its parts."""
        return [*self._own(run), *self.part_of(run)]

    def _own(self, run: RunFacts) -> list[Node]:
        """Return what a run made itself: data, metrics, artifacts, models.

        Metrics of what the machine was doing are no result.
        """
        if not has_its_own(run):
            return []
        data = self.facts.few(run.outputs)
        nodes = [self._wrote(run, things.of_data(one.oid, path=one.path)) for one in data]
        nodes += self.more(run.id, "files", len(run.outputs), len(data))
        logged = [pair for pair in run.metrics.items() if not pair[0].startswith(SYSTEM)]
        metrics = self.facts.few(logged)
        nodes += [
            Node(
                id=f"metric:{run.id}/{key}",
                label=f"metric {key} = {value:.6g}",
                relation="logged",
            )
            for key, value in metrics
        ]
        nodes += self.more(run.id, "metrics", len(logged), len(metrics))
        return [*nodes, *self._kept(run), *self._followed(f"run:{run.id}", of_run=True)]

    def _wrote(self, run: RunFacts, thing: Thing) -> Node:
        """Return a content that a run wrote, followed to who read it from there."""
        return self.follow(
            thing, "wrote", lambda: self._of_data(thing, run), key=f"{thing.id} of {run.id}"
        )

    def _kept(self, run: RunFacts) -> list[Node]:
        shown = self.facts.few(run.artifacts)
        nodes = [self._artifact(run, one) for one in shown]
        return nodes + self.more(run.id, "artifacts", len(run.artifacts), len(shown))

    @staticmethod
    def _artifact(run: RunFacts, one: Lying) -> Node:
        algorithm, colon, digest = one.oid.rpartition(":")
        label = f"artifact {one.path}  {algorithm}{colon}{digest[:8]}"
        return Node(id=f"artifact:{run.id}/{one.path}", label=label, relation="kept")

    def _followed(self, id_: str, *, of_run: bool = False) -> list[Node]:
        """Return what the edges of the ledger lead to, from a bundle to its deployments.

        Of a run, these are what it made, and versions that were registered from nothing else.
        """
        found = served.led_to(self.facts.edges(id_))
        if id_.startswith("decision:") and id_ != self.root:
            return [self.leaf(target, how) for how, target in found]
        nodes: list[Node] = []
        for how in dict.fromkeys(how for how, _ in found):
            targets = [target for other, target in found if other == how]
            if of_run and how != "made":
                is_version = how == "registered as"
                targets = [one for one in targets if is_version and one not in self.seen]
            shown = self.facts.few(targets)
            nodes += [self._down_to(target, how) for target in shown]
            nodes += self.more(id_, f"{how} so", len(targets), len(shown))
        return nodes

    def _down_to(self, id_: str, how: str) -> Node:
        thing = self.by_id(id_)
        return thing if isinstance(thing, Node) else self._node(thing, how)
