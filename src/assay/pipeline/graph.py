"""The graph of stages: who makes what another needs, and in which order they run."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from assay.base.errors import Error
from assay.project.stages import Stage
from assay.project.workspace import Project


class InvalidGraph(Error):
    """The stages of a project contradict each other."""


def folders(path: str) -> list[str]:
    """Return the folders around an absolute path; as text, since there are many.

    Examples
    --------
    >>> folders("/a/b/c")
    ['/a/b', '/a']
    """
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found


class Graph:
    """Stages and their dependencies.

    Parameters
    ----------
    stages : sequence of Stage
        In file order, which decides between equals.

    Raises
    ------
    InvalidGraph
        If two stages write one output, outputs overlap, or stages wait for each other.
    """

    def __init__(self, stages: Sequence[Stage], project: Project) -> None:
        self.stages = {stage.address: stage for stage in stages}
        self._project = project
        self._makers = self._collect()
        self._sorted = sorted(self._makers)
        self._refuse_overlaps()
        self.upstream: dict[str, tuple[str, ...]] = {
            stage.address: self._needs(stage) for stage in stages
        }
        self._refuse_cycles()

    def _collect(self) -> dict[str, str]:
        makers: dict[str, str] = {}
        for stage in self.stages.values():
            for out in stage.outs:
                path = str(stage.path(out.path))
                if path in makers:
                    raise InvalidGraph(
                        f"the output '{self._shown(path)}' is made by two stages: "
                        f"'{makers[path]}' and '{stage.address}'",
                        where=self._where(stage),
                        hint="give each stage an output of its own",
                    )
                makers[path] = stage.address
        return makers

    def _refuse_overlaps(self) -> None:
        for path in self._sorted:
            for parent in folders(path):
                other = self._makers.get(parent)
                if other is not None:
                    maker = self._makers[path]
                    raise InvalidGraph(
                        f"the output '{self._shown(path)}' of '{maker}' lies inside the output "
                        f"'{self._shown(parent)}' of '{other}'",
                        where=self._where(self.stages[maker]),
                        hint="move one of them out of the other",
                    )

    def _needs(self, stage: Stage) -> tuple[str, ...]:
        """Return the makers of a stage's dependencies: of the path, around it, or below it."""
        found: dict[str, None] = {}
        for dep in (*stage.deps, *(params.file for params in stage.params)):
            path = os.path.normpath(stage.wdir / dep)
            for candidate in (path, *folders(path)):
                if candidate in self._makers:
                    found[self._makers[candidate]] = None
            start = bisect_left(self._sorted, f"{path}/")
            while start < len(self._sorted) and self._sorted[start].startswith(f"{path}/"):
                found[self._makers[self._sorted[start]]] = None
                start += 1
        return tuple(found)

    def _refuse_cycles(self) -> None:
        done: set[str] = set()
        for start in self.stages:
            trail: dict[str, None] = {}
            todo: list[tuple[str, bool]] = [(start, False)]
            while todo:
                address, leaving = todo.pop()
                if leaving:
                    trail.popitem()
                    done.add(address)
                    continue
                if address in trail:
                    listed = list(trail)
                    circle = [*listed[listed.index(address) :], address]
                    raise InvalidGraph(
                        "stages wait for each other: " + " needs ".join(f"'{a}'" for a in circle),
                        where=self._where(self.stages[address]),
                        hint="take one of these dependencies out",
                    )
                if address in done:
                    continue
                trail[address] = None
                todo.append((address, True))
                todo.extend((need, False) for need in self.upstream[address])

    @cached_property
    def downstream(self) -> dict[str, list[str]]:
        """The stages that need each stage."""
        found: dict[str, list[str]] = {address: [] for address in self.stages}
        for address, needs in self.upstream.items():
            for need in needs:
                found[need].append(address)
        return found

    def with_needs(self, targets: Iterable[str]) -> Graph:
        """Return the part of the graph that targets need, themselves included."""
        todo, found = list(targets), set[str]()
        while todo:
            address = todo.pop()
            if address not in found:
                found.add(address)
                todo += self.upstream[address]
        return Graph([s for a, s in self.stages.items() if a in found], self._project)

    def below(self, targets: Iterable[str]) -> set[str]:
        """Return stages and all that run after them; what is below a frozen one does as well."""
        todo, found = list(targets), set[str]()
        while todo:
            address = todo.pop()
            if address not in found:
                found.add(address)
                todo += [a for a in self.downstream[address] if not self.stages[a].frozen]
        return found

    @property
    def parts(self) -> list[list[str]]:
        """The stages that hang together, each part sorted, in the order of their first stages."""
        found: dict[str, list[str]] = {}
        for start in self.stages:
            if start in found:
                continue
            part: list[str] = []
            todo = [start]
            while todo:
                address = todo.pop()
                if address not in found:
                    found[address] = part
                    part.append(address)
                    todo += [*self.upstream[address], *self.downstream[address]]
            part.sort()
        return list({id(part): part for part in found.values()}.values())

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs of a stage and one that needs it, sorted."""
        return sorted((need, a) for a, needs in self.upstream.items() for need in needs)

    def order(self, targets: Iterable[str], *, single: bool = False) -> list[Stage]:
        """Return the stages to look at for `targets`, each after what it needs.

        The order is DVC's: depth first, dependencies as they are listed. With `single`, only the
        targets themselves. What lies above a frozen stage is left out.
        """
        wanted = list(dict.fromkeys(targets))
        found: dict[str, None] = {}
        for target in wanted:
            todo: list[tuple[str, bool]] = [(target, False)]
            while todo:
                address, ready = todo.pop()
                if address in found:
                    continue
                if ready:
                    found[address] = None
                    continue
                todo.append((address, True))
                if not self.stages[address].frozen:
                    todo.extend((need, False) for need in reversed(self.upstream[address]))
        return [self.stages[a] for a in found if not single or a in wanted]

    def maker(self, path: Path) -> Stage | None:
        """Return the stage that makes a path, or that makes the folder around it."""
        for candidate in (path, *path.parents):
            address = self._makers.get(str(candidate))
            if address is not None:
                return self.stages[address]
        return None

    def _shown(self, path: str) -> str:
        root = str(self._project.root)
        return path[len(root) + 1 :] if path.startswith(f"{root}/") else path

    def _where(self, stage: Stage) -> str:
        return stage.place(self._project.root)
