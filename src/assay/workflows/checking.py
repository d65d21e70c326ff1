"""`assay check`: `assay.yaml` says what can be, and what it names is there."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from assay.base.errors import Error
from assay.base.progress import counted
from assay.project import declaration, definition
from assay.project.declaration import Declaration
from assay.project.definition import Definition
from assay.project.stages import Stage
from assay.project.workspace import Project
from assay.workflows import naming

BUNDLE_NEEDS = ("data", "schema", "monitor")
"""The sections that `assay.bundle()` reads: its stage has to declare them as parameters."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong, or will be."""

    severity: Literal["error", "warning"]
    where: str
    what: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    sections: list[str]
    problems: list[Problem]

    @property
    def failed(self) -> bool:
        """Whether anything is an error."""
        return any(problem.severity == "error" for problem in self.problems)

    def in_words(self) -> str:
        """Return the result on one line."""
        if not self.sections:
            return f"There is no {declaration.FILE} yet, or nothing in it."
        return f"{', '.join(self.sections)}: {counted(len(self.problems), 'problem')}."


def check(project: Project) -> Checked:
    """Check the declaration of a project.

    Raises
    ------
    Invalid
        If `assay.yaml` breaks its grammar; with file, line and nearest name.
    """
    declared = declaration.read(project)
    stages = definition.read(project)
    return Checked(
        sections=_sections(declared),
        problems=[
            *_tables(project, declared, stages),
            *_columns(project, declared),
            *_schemas(declared),
            *_metrics(declared),
            *_loop(project, declared),
            *_bundles(project, declared, stages),
        ],
    )


def _sections(declared: Declaration) -> list[str]:
    empty = msgspec.to_builtins(Declaration())
    given: dict[str, Any] = msgspec.to_builtins(declared)
    return [name for name, value in given.items() if value != empty[name]]


def _tables(project: Project, declared: Declaration, stages: Definition) -> list[Problem]:
    made = {item.path for item in stages.tracked}
    found = []
    for name, table in declared.data.tables.items():
        path = project.root / table.path
        if not path.exists() and not any(p == path or p in path.parents for p in made):
            found.append(
                Problem(
                    severity="error",
                    where=f"{declaration.FILE}: data.tables.{name}",
                    what=f"'{table.path}' is not there, and nothing makes it",
                )
            )
    return found


def _columns(project: Project, declared: Declaration) -> list[Problem]:
    """Find columns that the tables which are there do not have."""
    return [
        Problem(severity="error", where=f"{declaration.FILE}: {where}", what=what)
        for where, what in naming.check(project, declared)
    ]


def _schemas(declared: Declaration) -> list[Problem]:
    """Find domains that cannot hold."""
    from assay.data import schema_checks

    return [
        Problem(
            severity="error",
            where=f"{declaration.FILE}: schema.{table}.columns.{name}",
            what=anomaly.description,
        )
        for table, schema in declared.schema.items()
        for name, expected in schema.columns.items()
        for anomaly in schema_checks.check(name, expected)
    ]


def _metrics(declared: Declaration) -> list[Problem]:
    """Find metrics that are not for the task, and what a gate or an evaluation lacks."""
    from assay.evaluate import metrics

    found = []
    for section, needed in (("evaluation", "model"), ("gate", "evaluation")):
        if getattr(declared, section) is not None and getattr(declared, needed) is None:
            what = f"it needs '{needed}', which is not declared"
            where = f"{declaration.FILE}: {section}"
            found.append(Problem(severity="error", where=where, what=what))
    if declared.model is None or declared.evaluation is None:
        return found
    for name in declared.evaluation.metrics:
        try:
            metrics.get(name, task=declared.model.task)
        except Error as error:
            what = error.what if error.hint is None else f"{error.what} ({error.hint})"
            where = f"{declaration.FILE}: evaluation.metrics"
            found.append(Problem(severity="error", where=where, what=what))
    return found


def _loop(project: Project, declared: Declaration) -> list[Problem]:
    """Find what keeps a declared monitor or retraining from running."""
    from assay.loop import declared as looping

    return [
        Problem(severity="error", where=where, what=what)
        for where, what in looping.check(project, declared)
    ]


def _bundles(project: Project, declared: Declaration, stages: Definition) -> list[Problem]:
    """Find stages that make a bundle and do not say which declared sections they depend on."""
    used = [s for s in BUNDLE_NEEDS if s in _sections(declared)]
    found = []
    for stage in stages.stages:
        if not used or not _makes_bundle(stage):
            continue
        declares = next((dep for dep in stage.params if dep.file == declaration.FILE), None)
        missing = [
            s for s in used if declares is None or (declares.keys and s not in declares.keys)
        ]
        if missing:
            found.append(
                Problem(
                    severity="warning",
                    where=f"{project.relative(stage.file)}: stage '{stage.name}'",
                    what=f"its bundle depends on {', '.join(missing)} of {declaration.FILE}; "
                    f"add 'params: [{{{declaration.FILE}: [{', '.join(used)}]}}]'",
                )
            )
    return found


def _makes_bundle(stage: Stage) -> bool:
    return any((stage.path(out.path) / "bundle.json").exists() for out in stage.outs)
