"""Runs that did the same with other code: what made them differ is no configuration.

Two finished runs of the pipeline at one commit, on the same data with the same parameters, have
to have the same uncommitted changes and untracked files; `assay.audit.difference` says which
files count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from assay.audit import difference
from assay.audit.subject import Subject, read_plan
from assay.base.errors import Error
from assay.pipeline.record import PLAN
from assay.project import git

if TYPE_CHECKING:
    from sqlalchemy import Row


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs whose code differs and nothing else, and the files that make the difference."""

    a: str
    b: str
    commit: str
    files: list[str]


class _Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run, as far as it is compared."""

    id: str
    commit: str
    diff: str | None
    untracked: frozenset[tuple[str, str]]
    params: frozenset[tuple[str, ...]]
    inputs: frozenset[tuple[str, str]]
    plan: str | None

    @property
    def raw_code(self) -> tuple[Any, ...]:
        return (self.diff, self.untracked)


def conflicts(subject: Subject) -> Iterator[Conflict]:
    """Go through pairs of finished runs that differ in their code only, oldest first."""
    groups: dict[tuple[Any, ...], list[_Recorded]] = defaultdict(list)
    for run in _recorded(subject):
        groups[run.commit, run.params].append(run)
    look = _Look(subject)
    for group in groups.values():
        if len({run.raw_code for run in group}) == 1:
            continue
        seen: dict[Any, _Recorded] = {}
        for run in group:
            first = seen.setdefault(look.data(run), run)
            files = look.differing(first, run)
            if files:
                yield Conflict(a=first.id, b=run.id, commit=run.commit, files=files)


class _Look:
    """Looks into commits, plans and patches."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._files = cache(self._in_commit)
        self._code = cache(self._code_of)

    def data(self, run: _Recorded) -> frozenset[tuple[str, str]]:
        """Return what a run read that is no code: neither in git nor beside it."""
        prefix, own = self._subject.prefix, {path for path, _ in run.untracked}
        code = self._files(run.commit) | own
        return frozenset((path, oid) for path, oid in run.inputs if f"{prefix}{path}" not in code)

    def differing(self, a: _Recorded, b: _Recorded) -> list[str]:
        """Return the files of code that differ between two runs at one commit."""
        one, other = self._code(a), self._code(b)
        return sorted({path for path, _ in one ^ other})

    def _in_commit(self, commit: str) -> frozenset[str]:
        """Return the files of a commit, and the folders around them."""
        try:
            names = git.list_files(self._subject.project.git_root, commit)
        except git.Failed:  # it is gone
            return frozenset()
        folders = {
            name[:at] for name in names for at, letter in enumerate(name) if letter == "/"
        }  # fmt: skip
        return frozenset({*names, *folders})

    def _code_of(self, run: _Recorded) -> frozenset[tuple[str, str]]:
        subject, declared = self._subject, self._subject.declared
        plan = read_plan(subject.project, run.plan or "")
        is_code = difference.is_code_of(
            plan, prefix=subject.prefix, besides=[declared.tests.junit if declared.tests else None]
        )
        patch = b""
        if run.diff is not None:
            try:
                patch = subject.project.objects.read(run.diff.removeprefix("sha256:"))
            except Error:  # that it differs is known all the same
                return frozenset({("a patch that is gone", run.diff)})
        own = {(path, oid) for path, oid in run.untracked if is_code(path)}
        return frozenset({*difference.changed(patch, is_code).items(), *own})


def _recorded(subject: Subject) -> Iterator[_Recorded]:
    """Go through the finished runs of the pipeline that have a commit, oldest first."""
    from sqlalchemy import select

    from assay.ledger import tables

    run, data = tables.run, tables.run_data
    wanted = (
        (run.c.kind == "pipeline") & (run.c.status == "finished") & run.c.deleted.is_(None)
    ) & run.c.code_commit.is_not(None)
    ids = select(run.c.id).where(wanted)
    with subject.ledger.read() as connection:

        def of(table: Any, *columns: str) -> dict[str, set[tuple[str, ...]]]:
            query = table.select().where(table.c.run_id.in_(ids))
            if table is data:
                query = query.where(data.c.direction == "input")
            return _grouped(connection.execute(query), columns)

        untracked, params = (
            of(tables.untracked, "path", "oid"),
            of(tables.param, "key", "type", "value"),
        )
        inputs, artifacts = of(data, "path", "oid"), of(tables.artifact, "path", "oid")
        rows = connection.execute(run.select().where(wanted).order_by(run.c.start, run.c.id)).all()
    for row in rows:
        yield _Recorded(
            id=row.id,
            commit=row.code_commit,
            diff=row.code_diff,
            untracked=frozenset((path, oid) for path, oid in untracked[row.id]),
            params=frozenset(params[row.id]),
            inputs=frozenset((path, oid) for path, oid in inputs[row.id]),
            plan=next((oid for path, oid in artifacts[row.id] if path == PLAN), None),
        )


def _grouped(rows: Any, columns: tuple[str, ...]) -> dict[str, set[tuple[str, ...]]]:
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    row: Row[Any]
    for row in rows:
        values = row._mapping  # noqa: SLF001 -- its public way
        found[row.run_id].add(tuple(values[name] for name in columns))
    return found
