"""A trace for people: as lines, and as a flowchart in Mermaid's language."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.render.tables import visible
from assay.trace.nodes import ABOVE, HAS_PART, OWN, PART_OF, Node
from assay.trace.tree import Trace

CUT = "(of many, the newest are shown; all of them with --all)"


def text(found: Trace) -> str:
    """Draw both trees with lines."""
    parts = [visible(found.thing.label)]
    for title, nodes in (("came from", found.came_from), ("led to", found.led_to)):
        parts.append(f"\n{title}:" if nodes else f"\n{title}: nothing on record")
        parts += _lines(nodes, "")
    if any(node.more for node in _all([*found.came_from, *found.led_to])):
        parts.append(f"\n{CUT}")
    return "\n".join(parts)


def _lines(nodes: list[Node], prefix: str) -> list[str]:
    lines = []
    for number, node in enumerate(nodes, 1):
        last = number == len(nodes)
        what = visible(f"{node.relation} {node.label}".strip())
        lines.append(f"{prefix}{'└─ ' if last else '├─ '}{what}")
        lines += _lines(node.children, prefix + ("   " if last else "│  "))
    return lines


def _all(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _all(node.children)


def mermaid(found: Trace) -> str:
    """Return both trees as one Mermaid flowchart, from source to result.

    Each thing is one node, however often it is in the trees. From a run to each of its parts there
    is one arrow, in whichever tree that is.
    """
    names: dict[str, str] = {}
    lines: dict[str, None] = {"flowchart TD": None}  # in order, each once

    def name(id_: str, label: str) -> str:
        if id_ not in names:
            names[id_] = f"node{len(names) + 1}"
            lines[f'\t{names[id_]}["{quoted(label)}"]'] = None
        return names[id_]

    def draw(id_: str, label: str, nodes: list[Node], *, upwards: bool) -> None:
        here = name(id_, label)
        for node in nodes:
            there = name(node.id, node.label)
            is_against = node.relation == (HAS_PART if upwards else PART_OF)
            source, target = (there, here) if upwards is not is_against else (here, there)
            lines[f"\t{source}-->{target}"] = None
            draw(node.id, node.label, node.children, upwards=upwards)

    draw(found.thing.id, found.thing.label, found.came_from, upwards=True)
    draw(found.thing.id, found.thing.label, found.led_to, upwards=False)
    return "\n".join(lines)


def quoted(label: str) -> str:
    """Return a label so that Mermaid shows it as it is.

    Quotes, and what is markup or Markdown there, are written by their numbers.

    Examples
    --------
    >>> quoted('a "b" <i>')
    'a #34;b#34; #60;i#62;'
    """
    plain = " ".join(label.replace(ABOVE, "").replace(OWN, "").splitlines())
    plain = "".join(letter if letter.isprintable() else " " for letter in plain)
    found = re.sub(r"[\"#&<>`*_~\\\[\]{}|;$]", lambda match: f"#{ord(match[0])};", plain)
    return found or "-"  # it takes no empty one
