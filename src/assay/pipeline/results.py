"""Where a `repro` keeps what its stages made: locks, `.gitignore`, the plan of its run.

A lock is written after each stage, but not more often than every half second where the run cache
has the stage as well, and not before a stage whose entry comes first has ended: after a `kill -9`
a stage comes back from the run cache without running again, and the lock has the order that it
has without the kill. Objects are durable before a lock names them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from assay.pipeline.plan import Plan
from assay.pipeline.record import Recording, Step
from assay.project import git, gitignore
from assay.project.definition import Definition
from assay.project.lock import Entry
from assay.project.stages import Stage

_PAUSE_SECONDS = 0.5
_MOST_OF_THE_TIME = 20  # a pause is this many times what the writing before it took


class Results:
    """Collects what the stages of one plan made.

    Parameters
    ----------
    sync : callable
        Makes what was written so far durable.
    """

    def __init__(
        self,
        declared: Definition,
        planned: Plan,
        recording: Recording,
        *,
        sync: Callable[[], None],
    ) -> None:
        self._declared, self._project = declared, declared.project
        self._plan, self._recording, self._sync = planned, recording, sync
        self._places = {stage.address: place for place, stage in enumerate(planned.stages)}
        self._new = {self._places[s.address] for s in planned.stages if not declared.entry(s)}
        self._last_new = -1
        self._files: dict[Path, None] = {}
        self._to_ignore: list[Path] = []
        self._written_at, self._pause = 0.0, _PAUSE_SECONDS

    @property
    def files(self) -> list[Path]:
        """The files that git should get."""
        return list(self._files)

    def add_files(self, files: Iterable[Path]) -> None:
        """Note files that git should get."""
        self._files.update(dict.fromkeys(files))

    @cached_property
    def _seen_by_git(self) -> frozenset[Path]:
        """The outputs of the plan that git does not ignore yet: it is asked once for all."""
        stages = [stage for stage in self._plan.stages if not stage.is_data]
        outs = [s.path(out.path) for s in stages for out in s.outs if out.cache]
        try:
            return frozenset(gitignore.not_ignored(self._project, outs))
        except git.Failed:  # over one of them: then the stage that makes it says so
            return frozenset(outs)

    def record(self, stage: Stage, entry: Entry, *, can_wait: bool) -> None:
        """Record what a stage ran on and made.

        Parameters
        ----------
        can_wait : bool
            Whether the stage would not run again if the record of it were lost.
        """
        outs = [stage.path(out.path) for out in stage.outs if out.cache]
        self._to_ignore += [path for path in outs if path in self._seen_by_git]
        place = self._places[stage.address]
        if self._declared.record(stage, entry, place=place, later=True):
            self.add_files([stage.file.with_suffix(".lock")])
            self.add_files(stage.path(out.path) for out in stage.outs if not out.cache)
        if place in self._new:
            self._last_new = max(self._last_new, place)
            self._new.discard(place)
        is_in_order = min(self._new, default=place) >= self._last_new
        is_due = time.monotonic() - self._written_at > self._pause
        if not can_wait or (is_due and is_in_order):
            self.settle()

    def pass_by(self, address: str) -> None:
        """Note that a stage will not be recorded any more."""
        self._new.discard(self._places[address])

    def ignore_around(self, stage: Stage) -> None:
        """Have git ignore what was made in folders that a stage reads: `.gitignore` is a part."""
        if not self._to_ignore:
            return
        deps = {stage.path(dep) for dep in stage.deps}
        if any(
            path.parent / ".gitignore" in deps or not deps.isdisjoint(path.parents)
            for path in self._to_ignore
        ):
            self._ignore()

    def _ignore(self) -> None:
        waiting, self._to_ignore = self._to_ignore, []
        self.add_files(gitignore.add(self._project, waiting))

    def settle(self) -> None:
        """Write what was recorded, and make it durable."""
        began = time.monotonic()
        self._sync()
        self._ignore()
        self._declared.write_locks()
        self._sync()
        self._written_at = time.monotonic()
        self._pause = max(_PAUSE_SECONDS, _MOST_OF_THE_TIME * (self._written_at - began))

    def step(self, stage: Stage, entry: Entry, state: str, *, run: str | None = None) -> None:
        """Note a stage in the plan of the run."""
        self._recording.add_step(
            Step(
                address=stage.address,
                name=stage.name,
                state=state,
                wdir=os.path.relpath(stage.wdir, self._project.root),
                entry=entry,
                uncached=tuple(out.path for out in stage.outs if not out.cache),
                metrics=tuple(out.path for out in stage.outs if out.kind == "metric"),
                run=run,
            ),
            place=self._places[stage.address],
        )
