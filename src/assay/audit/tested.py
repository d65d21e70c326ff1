"""Factor 5: the code, the data and the model in production were tested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from assay.audit import difference, junit, steps
from assay.audit.factors import Check
from assay.audit.subject import Subject, short
from assay.base.errors import Error
from assay.base.progress import counted
from assay.deploy import history, proofs
from assay.ledger import deployments
from assay.ledger.deployments import Deployment
from assay.ledger.runs import Run
from assay.pipeline.record import Step
from assay.project import git


def tested(subject: Subject) -> Iterator[Check]:
    """Look for the results of the code's tests, and the verdicts on the data and the model."""
    missing, run = subject.missing(), subject.whole
    if missing is not None or run is None:
        yield missing or Check(ok=None, text="nothing is in production")
        return
    yield _code(subject, run)
    yield _data(subject)
    yield _model(subject)


def _code(subject: Subject, run: Run) -> Check:
    """Say whether the tests passed on the code of a run."""
    declared, commit = subject.declared.tests, run.code.commit
    if declared is None:
        return Check(
            ok=False,
            text="code: assay.yaml names no results of tests",
            next_step="write 'tests: {junit: tests.xml}' into assay.yaml, then: "
            f"{_test('tests.xml')}",
        )
    again = _test(declared.junit)
    path = f"{subject.prefix}{declared.junit}"
    if commit is None:
        return Check(ok=False, text=f"code: run {short(run.id)} has no commit", next_step=again)
    root = subject.project.git_root
    content = git.read_file(root, commit, path)
    tests = junit.commit_of(subject.project, path, commit=commit)
    if content is None or tests is None:
        return Check(
            ok=None,
            text=f"code: {declared.junit} is not in commit {short(commit)}",
            next_step=again,
        )
    try:
        results = junit.parse(content, where=f"{path} at {short(commit)}")
    except Error as error:
        return Check(ok=False, text=f"code: {error.what}", next_step=again)
    if results.n_failed or results.n_tests <= results.n_skipped:
        found = f"{results.n_failed} of {counted(results.n_tests, 'test')} failed"
        none = "no test ran" if results.n_tests <= results.n_skipped else found
        return Check(ok=False, text=f"code: {none} at {short(tests)}", next_step=again)
    changed = _changed(subject, run, tests=tests, commit=commit)
    if changed:
        return Check(
            ok=False,
            text=f"code: {changed[0]} changed since the tests of commit {short(tests)}",
            next_step=f"{again} && assay repro --force",
        )
    n_tests = counted(results.n_tests - results.n_skipped, "test")
    return Check(ok=True, text=f"code: {n_tests} passed at commit {short(tests)}")


def _changed(subject: Subject, run: Run, *, tests: str, commit: str) -> list[str]:
    """Return the code of a run that is not the tested one, by path."""
    declared = subject.declared.tests
    is_code = difference.is_code_of(
        subject.plan, prefix=subject.prefix, besides=[declared.junit if declared else None]
    )
    found = junit.code_between(subject.project, tests, commit, is_code)
    if run.code.diff is not None:
        patch = subject.project.objects.read(run.code.diff.removeprefix("sha256:"))
        found += difference.changed(patch, is_code)
    return found + [file.path for file in run.code.untracked if is_code(file.path)]


def _test(path: str) -> str:
    return f"python -m pytest --junit-xml={path} && git add {path} && git commit -m 'Tests passed'"


def _data(subject: Subject) -> Check:
    """Say whether the data that the training read was found valid in the same run."""
    run = subject.run
    trained = run.stage if run else None
    upstream = steps.before(subject.plan, trained)
    read = {
        row.oid
        for step in (*upstream, *(s for s in subject.plan.steps if s.address == trained))
        if not steps.validates(step)
        for row in steps.inputs(step).values()
    }
    found = [
        step for step in upstream
        if steps.validates(step)
        and read & {row.oid for row in steps.inputs(step).values()}
    ]  # fmt: skip
    if not found:
        return Check(
            ok=False,
            text="data: no verdict on the training data in production's run",
            next_step="add a stage 'assay validate TABLE --out FILE' before the training to "
            "dvc.yaml, then: assay repro",
        )
    verdicts = [verdict for step in found for verdict in _verdicts(subject, step)]
    if not verdicts:
        return Check(
            ok=None,
            text=f"data: the verdict of '{found[0].address}' is gone",
            next_step=f"assay repro {found[0].address} --force",
        )
    invalid = [table for table, valid in verdicts if not valid]
    if invalid:
        return Check(
            ok=False,
            text=f"data: {', '.join(invalid)} not valid in '{found[0].address}'",
            next_step=f"assay validate {invalid[0]}",
        )
    tables = ", ".join(dict.fromkeys(table for table, _ in verdicts))
    return Check(ok=True, text=f"data: {tables} valid in stage '{found[0].address}'")


def _verdicts(subject: Subject, step: Step) -> list[tuple[str, bool]]:
    """Return what a stage found of each table; without a file of it, that the stage passed."""
    rows = [row for row in steps.outputs(step).values() if row.oid is not None]
    for row in rows:
        content = steps.read(subject.project, row.oid or "")
        found = None if content is None else _document(content)
        if found is not None:
            return found
    if rows:
        return []
    return [(step.address, True)]  # a stage that finds data not valid fails, and ends the run


def _document(content: bytes) -> list[tuple[str, bool]] | None:
    """Read what `assay validate --out` wrote; None where it is something else."""
    try:
        document: Any = msgspec.json.decode(content)
        return [(str(one["table"]), one["valid"] is True) for one in document]
    except (msgspec.MsgspecError, TypeError, KeyError, UnicodeDecodeError):
        return None


def _model(subject: Subject) -> Check:
    """Say whether the bundle gave its own answers when it was deployed last."""
    deploy = f"assay deploy {subject.name.replace('/', '@')} --to {subject.endpoint}"
    last = deployed(subject)
    if last is None:
        return Check(ok=None, text=f"model: {subject.name} is not deployed", next_step=deploy)
    found = [proof for proof in proofs.list_proofs(subject.ledger, last.id) if proof.ok]
    if not found:
        return Check(
            ok=None,
            text=f"model: no proof of the bundle at deployment {short(last.id)}",
            next_step=deploy,
        )
    return Check(ok=True, text=f"model: bundle proved at deployment {short(last.id)}")


def deployed(subject: Subject) -> Deployment | None:
    """Return the deployment by which production came; of one that went back, the one before."""
    if subject.live is None or subject.endpoint is None:
        return None
    rows = {row.id: row for row in deployments.list_deployments(subject.ledger, subject.endpoint)}
    row = rows[subject.live.deployment]
    while not proofs.list_proofs(subject.ledger, row.id):
        again = rows.get((row.details or {}).get(history.AGAIN, ""))
        if again is None:
            break
        row = again
    return row
