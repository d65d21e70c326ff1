"""A part of a run that is done again: a stage, or a script. What it gave then, and gives now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from assay.base.errors import Error
from assay.ledger.sdk import places
from assay.ledger.sinks import Unavailable
from assay.objects.cache import DIR
from assay.pipeline import compare
from assay.pipeline.compare import Compared, Point, Sameness
from assay.pipeline.reproduction.environments import Chosen
from assay.project.workspace import Project


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a part made: the oids of its outputs and all points of its metrics, by name.

    Attributes
    ----------
    seconds : float
        How long it took; 0 where that is not known.
    """

    outputs: dict[str, str]
    metrics: dict[str, tuple[Point, ...]]
    seconds: float = 0.0
    run: str | None = None


class Part(Protocol):
    """A part of a run that can be done again in the work tree, as often as one likes."""

    name: str
    recorded: Given

    def do(self, chosen: Chosen, *, tags: Mapping[str, str]) -> Given:
        """Run it to its end, and record that as a part of the reproduction."""

    def keep_aside(self) -> contextlib.AbstractContextManager[None]:
        """Set what it made aside as long as the block runs, and put it back."""

    def content(self, name: str) -> bytes:
        """Return the bytes of an output that it made the last time."""


class Say(msgspec.Struct, frozen=True):
    """Where a part tells what it does: lines of ours, and what its commands print."""

    say: Callable[[str], None]
    echo: Callable[[bytes], None]


def compared(project: Project, part: Part, found: Given, *, rtol: float) -> list[Compared]:
    """Compare the outputs of a part with those of its record, by name."""
    then, now = part.recorded.outputs, found.outputs
    return [
        _output(project, part, name, then.get(name), now.get(name), rtol=rtol)
        for name in [*then, *(name for name in now if name not in then)]
    ]


def measured(part: Part, found: Given, *, rtol: float) -> list[Compared]:
    """Compare the metrics of a part with those of its record; none where none was recorded."""
    if not part.recorded.metrics:
        return []
    return compare.metrics(part.recorded.metrics, found.metrics, rtol=rtol)


def _output(
    project: Project, part: Part, name: str, then: str | None, now: str | None, *, rtol: float
) -> Compared:
    sameness: Sameness = "differs"
    if then == now:
        sameness = "identical"
    elif rtol > 0 and then and now and not then.endswith(DIR):
        before = _recorded(project, then)
        if before is not None:
            with contextlib.suppress(Error, OSError):
                sameness = compare.contents(name, before, part.content(name), rtol=rtol)
    return Compared(name=name, sameness=sameness, recorded=then or "-", found=now or "-")


def _recorded(project: Project, oid: str) -> bytes | None:
    """Return the bytes of a recorded output, which a hub may have to send; None if it is gone.

    Raises
    ------
    Unavailable
        If the hub that may have it does not answer: it is not known then how close they are.
    """
    algorithm, _, digest = oid.partition(":")
    try:
        if algorithm == "sha256":
            return places.find(project).read(digest)
        return project.cache.read(digest) if project.cache.has(digest) else None
    except Unavailable:
        raise
    except (Error, OSError):
        return None
