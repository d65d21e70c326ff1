"""The stages that a run went through: which come before which, and what is in their outputs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from assay.base.errors import Error
from assay.ledger.writer import Data
from assay.objects.cache import DIR, Cache
from assay.pipeline import kept
from assay.pipeline.record import Plan, Step
from assay.project.stages import Row
from assay.project.workspace import Project

_VALIDATE = re.compile(r"\bassay\b[^|;&\n]*\bvalidate\b")


def before(plan: Plan, address: str | None) -> list[Step]:
    """Return the stages whose outputs a stage needs, directly or not; none if it is not there."""
    makers = {path: step for step in plan.steps for path in outputs(step)}
    todo = [step for step in plan.steps if step.address == address]
    found: dict[str, Step] = {}
    while todo:
        for dep in inputs(todo.pop()):
            for path, maker in makers.items():
                if _touch(dep, path) and maker.address not in {*found, address}:
                    found[maker.address] = maker
                    todo.append(maker)
    return [step for step in plan.steps if step.address in found]


def validates(step: Step) -> bool:
    """Say whether a stage runs `assay validate`."""
    cmd = step.entry.cmd or ""
    lines = cmd if isinstance(cmd, list) else [cmd]
    return any(_VALIDATE.search(line) for line in lines)


def inputs(step: Step) -> dict[str, Row]:
    """Return the dependencies of a stage by their path in the project."""
    return {_path(step, row.path): row for row in step.entry.deps}


def outputs(step: Step) -> dict[str, Row]:
    """Return the outputs of a stage by their path in the project."""
    return {_path(step, row.path): row for row in step.entry.outs}


def params_files(step: Step) -> Iterator[str]:
    """Go through the parameter files of a stage by their path in the project."""
    for file in step.entry.params:
        yield _path(step, file)


def store_of(project: Project, oid: str) -> Cache | None:
    """Return the store that has a content: DVC's cache, or the second one."""
    for store in (project.cache, kept.store(project)):
        try:
            if kept.is_whole(store, oid):
                return store
        except Error:  # a damaged manifest
            continue
    return None


def read(project: Project, oid: str) -> bytes | None:
    """Return the bytes of a file that a stage made; None where they are gone, or a folder."""
    store = None if oid.endswith(DIR) else store_of(project, oid)
    try:
        return None if store is None else store.read(oid)
    except Error:
        return None


def md5(data: Data) -> str | None:
    """Return the MD5 of a content that a run read or wrote; None where it is named otherwise."""
    algorithm, _, oid = data.oid.partition(":")
    return oid if algorithm == "md5" and re.fullmatch(r"[0-9a-f]{32}(\.dir)?", oid) else None


def _path(step: Step, written: str) -> str:
    return os.path.normpath(os.path.join(step.wdir, written))  # noqa: PTH118 -- as text


def _touch(a: str, b: str) -> bool:
    """Say whether two paths are the same, or one lies in the other."""
    return a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/")
