"""Factors of the code: versioned (1), with configuration apart (3), reproducible (4)."""

from __future__ import annotations

from collections.abc import Iterator

from assay.audit import configuration, steps
from assay.audit.factors import Check
from assay.audit.subject import Subject, short
from assay.base.errors import NotFound
from assay.base.progress import counted
from assay.ledger.runs import Run
from assay.ledger.writer import Data
from assay.pipeline.origins import Origins
from assay.project import declaration, git

_COMMIT = "git add --all && git commit -m 'What runs' && assay repro --force"
_REGISTER = "assay model register latest"

_LASTING = ("refs/heads", "refs/tags", "refs/remotes")
"""Where a commit stays; an experiment and what is queued are thrown away one day."""


def versioned(subject: Subject) -> Iterator[Check]:
    """Look whether every input of production's run is tracked, and its commit reachable."""
    missing, run = subject.missing(), subject.whole
    if missing is not None or run is None:
        yield missing or Check(ok=None, text="nothing is in production")
        return
    yield _commit(subject, run)
    origins = Origins(subject.project)
    unknown = [one.path for one in run.inputs if not _is_tracked(subject, origins, run, one)]
    if unknown:
        shown, more = ", ".join(unknown[:3]), f" and {len(unknown) - 3} more"
        yield Check(
            ok=False,
            text=f"neither in git nor tracked: {shown}{more if len(unknown) > 3 else ''}",
            next_step=f"assay add {unknown[0]} && {_COMMIT} && {_REGISTER}",
        )
    elif run.inputs:
        n_inputs = counted(len(run.inputs), "input")
        yield Check(ok=True, text=f"{n_inputs} of run {short(run.id)} in git or tracked by hash")
    else:
        yield Check(
            ok=None,
            text=f"run {short(run.id)} names no input",
            next_step="assay stage list --json",
        )


def _commit(subject: Subject, run: Run) -> Check:
    """Say whether the commit of a run can be reached from a branch or a tag."""
    code = run.code
    if code.commit is None or not code.reproducible:
        why = code.reason or "no commit is on record"
        return Check(
            ok=False,
            text=f"the code of run {short(run.id)} is not kept: {why}",
            next_step=f"{_COMMIT} && {_REGISTER}",
        )
    root = subject.project.git_root
    try:
        git.resolve(root, code.commit)
        found = git.git("for-each-ref", f"--contains={code.commit}", "--count=1",
                        "--format=%(refname:short)", *_LASTING, cwd=root)  # fmt: skip
    except (NotFound, git.Failed):
        found = b""
    ref = found.decode(errors="replace").strip()
    if not ref:
        return Check(
            ok=False,
            text=f"no branch or tag has commit {short(code.commit)}",
            next_step=f"git tag production-{code.commit[:7]} {code.commit}",
        )
    return Check(ok=True, text=f"commit {short(code.commit)} is in {ref}")


def _is_tracked(subject: Subject, origins: Origins, run: Run, data: Data) -> bool:
    """Say whether an input is in git, tracked by content hash, or made by a recorded run."""
    from assay.ledger.tables import run_data

    oid = steps.md5(data)
    if oid is None:
        algorithm, _, name = data.oid.partition(":")
        return algorithm == "sha256" and subject.project.objects.has(name)
    if origins.of(data.path, oid, run).is_known:
        return True
    made = run_data.select().where(run_data.c.oid == data.oid, run_data.c.direction == "output")
    with subject.ledger.read() as connection:
        return connection.execute(made.limit(1)).first() is not None


def configured(subject: Subject) -> Iterator[Check]:
    """Look whether the training declares parameters, and no runs differ in their code alone."""
    run = subject.run
    if run is None:
        missing = subject.missing()
        yield missing or Check(ok=None, text="nothing is in production")
    elif own := [key for key in run.params if not key.startswith(f"{declaration.FILE}:")]:
        n_params = counted(len(own), "parameter")
        yield Check(ok=True, text=f"'{run.name}' declares {n_params}")
    else:
        yield Check(
            ok=False,
            text=f"'{run.name}' of run {short(run.id)} declares no parameter",
            next_step=f"write 'params:' into stage '{run.name}' of dvc.yaml, then: assay repro",
        )
    found = next(configuration.conflicts(subject), None)
    if found is None:
        yield Check(ok=True, text="no two runs differ in their code alone")
        return
    yield Check(
        ok=False,
        text=f"runs {short(found.a)} and {short(found.b)} differ in their code alone: "
        f"{', '.join(found.files[:3])}",
        next_step=f"assay runs diff {short(found.a)} {short(found.b)}",
    )


def reproducible(subject: Subject) -> Iterator[Check]:
    """Look whether the newest `reproduce` of production's run gave the same to the bit."""
    missing, run = subject.missing(), subject.whole
    if missing is not None or run is None:
        yield missing or Check(ok=None, text="nothing is in production")
        return
    again = f"assay reproduce {short(run.id)}"
    found = _reproductions(subject, run)
    if not found:
        yield Check(
            ok=None, text=f"run {short(run.id)} was never done again", next_step=again
        )  # fmt: skip
        return
    id_, verdict = found[0]
    same = verdict == "identical"
    yield Check(
        ok=same,
        text=f"run {short(run.id)} done again as {short(id_)}: {verdict}",
        next_step=None if same else again,
    )


def _reproductions(subject: Subject, run: Run) -> list[tuple[str, str]]:
    """Return the finished runs that did one again with what was found, newest first."""
    from sqlalchemy import select

    from assay.ledger import tables

    of, verdict = tables.tag.alias("of"), tables.tag.alias("verdict")
    again = tables.run
    query = (
        select(again.c.id, verdict.c.value)
        .join(of, of.c.run_id == again.c.id)
        .join(verdict, verdict.c.run_id == again.c.id)
        .where(of.c.key == "reproduces", of.c.value == run.id, verdict.c.key == "verdict")
        .where(again.c.status == "finished", again.c.deleted.is_(None))
        .order_by(again.c.start.desc(), again.c.id.desc())
    )
    with subject.ledger.read() as connection:
        return [(row.id, row.value) for row in connection.execute(query)]
