"""`repro --dry`: what would become of each stage of a plan, without doing it."""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from assay.base.errors import NotFound
from assay.pipeline import plan
from assay.pipeline.changes import Changes, Inspector
from assay.pipeline.options import Options
from assay.pipeline.plan import Done, Plan, State
from assay.project.definition import Definition
from assay.project.lock import Entry
from assay.project.stages import Row, Stage


class _Foreseen(msgspec.Struct, frozen=True):
    """What would become of a stage, with what its outputs would be, where that is known."""

    state: State
    why: str = ""
    rows: Iterable[Row] = ()


class Foresight:
    """Goes through a plan as `repro` does, and takes what would be restored as restored."""

    def __init__(
        self, declared: Definition, planned: Plan, inspector: Inspector, options: Options
    ) -> None:
        self._declared, self._project = declared, declared.project
        self._plan, self._inspector = planned, inspector
        # a look must not fetch anything
        self._asks_for_data = options.bring is not None
        self._options = msgspec.structs.replace(options, bring=None)
        self._stale: set[str] = set()
        self._forced: set[str] = set()

    def go(self) -> list[Done]:
        """Return what would become of each stage, in order."""
        return [self._one(stage) for stage in self._plan.stages]

    def _one(self, stage: Stage) -> Done:
        found = self._foresee(stage)
        if found.state == "would run":
            self._stale.add(stage.address)
        if found.rows:
            self._inspector.assume(stage, found.rows)
        if (
            found.state not in {"unchanged", "frozen", "would be pulled"}
            and self._options.force_downstream
        ):
            self._forced.update(self._plan.graph.downstream[stage.address])
        return Done(stage=stage.address, state=found.state, why=found.why)

    def _above(self, stage: Stage) -> str | None:
        """Return why it is not known yet what a stage reads, or None where it is."""
        needs = self._plan.graph.upstream[stage.address]
        above = next((f"'{need}'" for need in needs if need in self._stale), None)
        if above is None and self._inspector.is_uncertain(stage):
            return "what is restored"
        return above

    def _foresee(self, stage: Stage) -> _Foreseen:
        options, declared = self._options, self._declared
        above = self._above(stage)
        all_changes = self._inspector.changes(stage)
        changes, without = (
            plan.what_counts(declared, self._plan.graph, stage, all_changes, allow_missing=lenient)
            for lenient in (options.allow_missing, True)
        )
        force = options.force or (stage.address in self._forced and not stage.frozen)
        if stage.is_data:
            return self._data(stage, changes)
        if stage.frozen and not options.force:
            return self._frozen(stage, changes)
        if not (changes or force) and above is None:
            return _Foreseen("unchanged")
        why = changes.in_words() or (f"{above} comes before it" if above else "forced")
        if self._asks_for_data and above is None and not (without or force):
            return _Foreseen("would be pulled", why, declared.recorded(stage).values())
        if above is None and options.use_run_cache and not (force or changes.always):
            known = self._known(stage)
            if known is not None:
                return _Foreseen("would be restored", why, known.outs)
        return _Foreseen("would run", why)

    def _frozen(self, stage: Stage, changes: Changes) -> _Foreseen:
        if changes.unrecorded or not self._asks_for_data:
            plan.refuse_frozen(self._project, stage, changes)
        missing = {path for path, state in changes.outs.items() if state != "modified"}
        if not missing:
            return _Foreseen("frozen", changes.in_words())
        rows = [row for p, row in self._declared.recorded(stage).items() if p in missing]
        return _Foreseen("would be restored", changes.in_words(), rows)

    def _known(self, stage: Stage) -> Entry | None:
        try:
            entry = self._inspector.entry(stage)
        except NotFound:
            if self._asks_for_data:  # it would be got first
                return None
            raise
        return plan.known_outputs(
            self._project, self._declared, stage, entry, options=self._options
        )  # fmt: skip

    def _data(self, stage: Stage, changes: Changes) -> _Foreseen:
        if not changes:
            return _Foreseen("unchanged")
        missing = [path for path in changes.outs if not os.path.lexists(stage.path(path))]
        if len(missing) < len(changes.outs):
            return _Foreseen("would be committed", changes.in_words())
        rows = self._declared.recorded(stage).values()
        return _Foreseen("would be restored", changes.in_words(), rows)
