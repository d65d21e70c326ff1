"""Factors of the data: features are explicit (2), every table that was used has statistics (8)."""

from __future__ import annotations

from collections.abc import Iterator

from assay.audit import steps
from assay.audit.factors import Check
from assay.audit.subject import Subject, short
from assay.base.errors import Error
from assay.base.progress import counted
from assay.data import stored
from assay.data.files import CSV_SUFFIXES, PARQUET_SUFFIXES
from assay.objects import tree
from assay.objects.cache import DIR


def explicit(subject: Subject) -> Iterator[Check]:
    """Look whether a schema has every column that the model takes, and is asked in time."""
    missing = subject.missing()
    if missing is not None:
        yield missing
        return
    yield _schema(subject)
    trained = subject.run.stage if subject.run else None
    upstream = steps.before(subject.plan, trained)
    found = next((step for step in upstream if steps.validates(step)), None)
    if found is not None:
        yield Check(ok=True, text=f"stage '{found.address}' validates before '{trained}'")
        return
    yield Check(
        ok=False,
        text="nothing validates before the training in production's run",
        next_step="add a stage 'assay validate TABLE --out FILE' before the training to dvc.yaml, "
        "then: assay repro",
    )


def _schema(subject: Subject) -> Check:
    """Say whether a declared schema has every column that the model takes."""
    try:
        names = subject.contents.index.signature.names
    except Error as error:
        return Check(
            ok=None,
            text=f"the signature cannot be read: {error.what}",
            next_step=f"assay bundle verify {subject.name.replace('/', '@')}",
        )
    known = {
        name: table
        for table, expected in subject.declared.schema.items()
        for name in expected.columns
    }
    uncovered = [name for name in names if name not in known]
    if uncovered:
        table = _table_with(subject) or "TABLE"
        more = f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else ""
        return Check(
            ok=False,
            text=f"no schema has {', '.join(uncovered[:3])}{more}",
            next_step=f"assay schema infer {table} --write",
        )
    tables = ", ".join(sorted({known[name] for name in names}))
    return Check(ok=True, text=f"schema of {tables} has all {counted(len(names), 'column')}")


def _table_with(subject: Subject) -> str | None:
    """Return a declared table that the training read."""
    read = {item.path for item in subject.run.inputs} if subject.run else set()
    tables = subject.declared.data.tables
    return next((name for name, table in tables.items() if table.path in read), None)


def profiled(subject: Subject) -> Iterator[Check]:
    """Look whether every version of a table that a finished run used has a profile."""
    used = _used(subject)
    without = [
        (path, oid, run)
        for (oid, path), (run, profile) in used.items()
        if not _has_profile(subject, oid, profile)
    ]
    for path, oid, run in without:
        yield Check(
            ok=False,
            text=f"{path} (md5:{oid[:8]}), used by run {short(run)}, has no profile",
            next_step=f"assay profile {path}",
        )
    if used and not without:
        yield Check(ok=True, text=f"{counted(len(used), 'table version')} with a profile")
    elif not used:
        yield Check(ok=None, text="no finished run read a table", next_step="assay repro")


def _used(subject: Subject) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return run and recorded profile of the tables that finished runs read, by oid and path.

    Runs that did another one again do not count: what they make is compared, and not kept.
    """
    from sqlalchemy import select

    from assay.ledger import tables

    data, run, whole = tables.run_data, tables.run, tables.run.alias("whole")
    query = (
        select(data.c.path, data.c.oid, data.c.profile, run.c.id)
        .join(run, run.c.id == data.c.run_id)
        .join(whole, whole.c.id == run.c.parent_id, isouter=True)
        .where(data.c.direction == "input", data.c.oid.startswith("md5:"))
        .where(run.c.status == "finished", run.c.deleted.is_(None), run.c.kind != "reproduction")
        .where(whole.c.id.is_(None) | (whole.c.kind != "reproduction"))
        .where(whole.c.id.is_(None) | (whole.c.status == "finished"))
        .order_by(run.c.start.desc())
    )
    found: dict[tuple[str, str], tuple[str, str | None]] = {}
    known: dict[tuple[str, str], bool] = {}
    with subject.ledger.read() as connection:
        for row in connection.execute(query):
            key = (row.oid.removeprefix("md5:"), row.path)
            if known.setdefault(key, False) or _is_table(subject, *key):
                known[key] = True
                run_id, profile = found.get(key, (row.id, None))
                found[key] = (run_id, profile or row.profile)
    return found


def _is_table(subject: Subject, oid: str, path: str) -> bool:
    """Say whether a content is a table, as `assay profile` sees it: by the names of its files."""
    if not oid.endswith(DIR):
        return _kind(path) is not None
    store = steps.store_of(subject.project, oid)
    try:
        names = [entry.relpath for entry in tree.read(store, oid)] if store else []
    except Error:
        return False
    visible = [name for name in names if not any(p.startswith(".") for p in name.split("/"))]
    kinds = {_kind(name) for name in visible}
    return len(kinds) == 1 and None not in kinds


def _kind(path: str) -> str | None:
    name = path.lower()
    if name.endswith(PARQUET_SUFFIXES):
        return "parquet"
    return "csv" if name.endswith(CSV_SUFFIXES) else None


def _has_profile(subject: Subject, oid: str, recorded: str | None) -> bool:
    objects = subject.project.objects
    if recorded is not None and objects.has(recorded.removeprefix("sha256:")):
        return True
    return stored.find(subject.project, oid) is not None
