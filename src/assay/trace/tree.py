"""A thing with both of its trees: what it came from, and what came from it."""

from __future__ import annotations

import contextlib

import msgspec

from assay.ledger.database import Ledger
from assay.project import git
from assay.project.workspace import Project
from assay.trace.downwards import Down
from assay.trace.nodes import MOST, Node
from assay.trace.things import Thing
from assay.trace.upwards import Up


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A thing with both of its trees."""

    thing: Thing
    came_from: list[Node]
    led_to: list[Node]


def trace(project: Project, ledger: Ledger, thing: Thing, *, most: int | None = MOST) -> Trace:
    """Return what a thing came from, and what came from it.

    Parameters
    ----------
    most : int, optional
        Of many things of one kind, how many are followed; None for all.
    """
    up = Up(project, ledger, root=thing, most=most)
    down = Down(project, ledger, root=thing, most=most)
    with git.reading(project.git_root) if project.uses_git else contextlib.nullcontext():
        return Trace(thing=thing, came_from=up.of(thing, None), led_to=down.of(thing))
