"""What a picture of the graph shows: the names of stages or outputs, and arrows; Mermaid and DOT.

Both texts are DVC's to the letter. `assay.pipeline.drawing` draws a diagram with characters.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.pipeline.graph import Graph
from assay.project.stages import Stage


class Diagram(msgspec.Struct, frozen=True, kw_only=True):
    """Names, and pairs of a name and one that needs it.

    Attributes
    ----------
    nodes : tuple of str
        In the order of the files they are declared in.
    edges : tuple of pairs of str
        From what is needed to what needs it, in the order of `nodes`; each pair once.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]

    @property
    def parts(self) -> list[Diagram]:
        """The parts that hang together, in the order of their first nodes."""
        beside: dict[str, list[str]] = {node: [] for node in self.nodes}
        for above, below in self.edges:
            beside[above].append(below)
            beside[below].append(above)
        parts: list[list[str]] = []
        seen: set[str] = set()
        for start in self.nodes:
            part, todo = [], [start]
            while todo:
                node = todo.pop()
                if node not in seen:
                    seen.add(node)
                    part.append(node)
                    todo += beside[node]
            if part:
                parts.append(part)
        return [self._with(part) for part in parts] if len(parts) > 1 else [self]

    def around(self, targets: Iterable[str], *, full: bool = False) -> Diagram:
        """Return the targets and all that they need, or all that hangs together with them."""
        beside: dict[str, list[str]] = {node: [] for node in self.nodes}
        for above, below in self.edges:
            beside[below].append(above)
            if full:
                beside[above].append(below)
        todo, found = list(targets), set[str]()
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                todo += beside[node]
        return self._with(found)

    def collapsed(self, groups: Mapping[str, str]) -> Diagram:
        """Return the diagram with each group drawn as one node, after the nodes that stay."""
        named = {node: groups.get(node, node) for node in self.nodes}
        nodes = [node for node in self.nodes if node not in groups]
        nodes += [named[node] for node in self.nodes if node in groups]
        edges = dict.fromkeys((named[above], named[below]) for above, below in self.edges)
        return make(nodes, (edge for edge in edges if edge[0] != edge[1]))

    def _with(self, nodes: Iterable[str]) -> Diagram:
        chosen = set(nodes)
        return Diagram(
            nodes=tuple(node for node in self.nodes if node in chosen),
            edges=tuple(edge for edge in self.edges if chosen.issuperset(edge)),
        )


def make(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> Diagram:
    """Return a diagram of nodes and edges, each once and in order."""
    place = {node: number for number, node in enumerate(dict.fromkeys(nodes))}
    return Diagram(
        nodes=tuple(place),
        edges=tuple(sorted(set(edges), key=lambda edge: (place[edge[0]], place[edge[1]]))),
    )


def of_stages(graph: Graph, name: Callable[[Stage], str]) -> Diagram:
    """Return the diagram of the stages, under the names that `name` gives them."""
    names = {address: name(stage) for address, stage in graph.stages.items()}
    edges = ((names[need], names[a]) for a, needs in graph.upstream.items() for need in needs)
    return make(names.values(), edges)


def of_outs(graph: Graph, name: Callable[[Path], str]) -> Diagram:
    """Return the diagram of the outputs: each is made of those that its stage depends on."""
    outs = {str(s.path(out.path)): out for s in graph.stages.values() for out in s.outs}
    names = {path: name(Path(path)) for path in _as_a_tree(outs)}
    ordered = sorted(outs)
    edges = []
    for stage in graph.stages.values():
        made = [names[str(stage.path(out.path))] for out in stage.outs]
        deps = () if stage.is_import else (*stage.deps, *(dep.file for dep in stage.params))
        for dep in deps:
            path = os.path.normpath(stage.wdir / dep)
            edges += [(names[p], out) for p in _overlapping(path, ordered) for out in made]
    return make(names.values(), edges)


def _as_a_tree(paths: Iterable[str]) -> list[str]:
    """Return paths so that those of one folder stand together, where the first of them stood."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for part in Path(path).parts:
            node = node.setdefault(part, {})
    found, todo = [], [("", tree)]
    while todo:
        path, node = todo.pop()
        if not node:
            found.append(path)
        todo += [(os.path.join(path, part), node[part]) for part in reversed(node)]  # noqa: PTH118
    return found


def _overlapping(path: str, ordered: list[str]) -> list[str]:
    """Return the outputs, out of a sorted list, that are a path, around it, or below it."""
    found = []
    for candidate in (path, *map(str, Path(path).parents)):
        at = bisect_left(ordered, candidate)
        if ordered[at : at + 1] == [candidate]:
            found.append(candidate)
    at = bisect_left(ordered, f"{path}/")
    while at < len(ordered) and ordered[at].startswith(f"{path}/"):
        found.append(ordered[at])
        at += 1
    return found


def lines(diagram: Diagram) -> str:
    """Return a line for each name with what it needs, each after what it needs.

    Examples
    --------
    >>> print(lines(make(["train", "prep"], [("prep", "train")])))
    prep
    train  <- prep
    """
    needs: dict[str, list[str]] = {node: [] for node in diagram.nodes}
    for above, below in diagram.edges:
        needs[below].append(above)
    done: dict[str, None] = {}
    todo = [(node, False) for node in reversed(diagram.nodes)]
    while todo:
        node, ready = todo.pop()
        if ready:
            done[node] = None
        elif node not in done:
            todo.append((node, True))
            todo += [(need, False) for need in reversed(needs[node]) if need not in done]
    return "\n".join(f"{n}  <- {', '.join(needs[n])}" if needs[n] else n for n in done)


def mermaid(diagram: Diagram) -> str:
    """Return a Mermaid flowchart: part by part, names and arrows sorted.

    Examples
    --------
    >>> print(mermaid(make(["train", "prep"], [("prep", "train")])).expandtabs(2))
    flowchart TD
      node1["prep"]
      node2["train"]
      node1-->node2
    """
    lines = ["flowchart TD"]
    done = 0
    for part in diagram.parts:
        numbers = {node: number for number, node in enumerate(sorted(part.nodes), done + 1)}
        done += len(numbers)
        lines += [f'\tnode{number}["{node}"]' for node, number in numbers.items()]
        lines += [f"\tnode{numbers[a]}-->node{numbers[b]}" for a, b in sorted(part.edges)]
    return "\n".join(lines)


def dot(diagram: Diagram) -> str:
    """Return the graph in the language of Graphviz.

    Examples
    --------
    >>> print(dot(make(["train", "prep"], [("prep", "train")])))
    strict digraph {
    "train";
    "prep";
    "prep" -> "train";
    }
    """
    lines = [f'"{node}";' for node in diagram.nodes]
    lines += [f'"{above}" -> "{below}";' for above, below in diagram.edges]
    return "\n".join(["strict digraph {", *lines, "}"])
