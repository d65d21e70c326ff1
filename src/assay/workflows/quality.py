"""Schema, validation, split and drift of the tables of a project: by name, or by path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.progress import progress
from assay.data import files, profile, schema, schema_file, split, validate
from assay.data.drift import compare
from assay.data.drift.compare import Drift
from assay.data.profile import Profile
from assay.data.read import open_table
from assay.data.validate import Validation
from assay.objects import scan
from assay.project import declaration
from assay.project.declaration import Declaration, TableSchema
from assay.project.workspace import Project
from assay.workflows import profiles


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A table: its name if `assay.yaml` declares it, where it lies, its key and time columns."""

    path: Path
    name: str | None = None
    key: tuple[str, ...] = ()
    time: str | None = None


def find(project: Project, declared: Declaration, given: str) -> Place:
    """Return the table with a name, or at a path."""
    tables = declared.data.tables
    if given in tables:
        return _declared(project, declared, given)
    path = project.resolve(given)
    for name, table in tables.items():
        if path == project.resolve(table.path, cwd=project.root):
            return _declared(project, declared, name)
    if not path.exists():
        near = did_you_mean(given, tables)
        raise NotFound(
            f"'{given}' is neither a declared table nor a path",
            hint=near or "declare it under data.tables in assay.yaml, or give a path",
        )
    return Place(path=path)


def infer_schema(project: Project, place: Place) -> TableSchema:
    """Return a schema that a table fits, whatever was declared for it."""
    measured = profiles.of(project, place.path)
    with progress(f"reading {place.path.name}"), open_table(_files(project, place)) as table:
        return schema.infer(measured, tails=schema.tails(table), key=place.key)


def write_schema(
    project: Project, declared: Declaration, place: Place, inferred: TableSchema
) -> bool:
    """Put an inferred schema into `assay.yaml`; what a person reviewed there stays.

    Returns False where the file said so already.
    """
    if place.name is None:
        raise NotFound(
            "only a declared table can have a schema",
            where=project.shown(place.path),
            hint=f"declare it in {declaration.FILE}: data: {{tables: {{NAME: {{path:"
            f" {project.relative(place.path)}}}}}}}",
        )
    wanted = schema.update(declared.schema.get(place.name), inferred)
    return schema_file.put(project.root / declaration.FILE, place.name, wanted)


def declared_schema(declared: Declaration, place: Place) -> TableSchema:
    """Return the schema that is declared for a table."""
    found = declared.schema.get(place.name or "")
    if found is None:
        named = place.name or place.path.name
        raise NotFound(
            f"there is no schema for '{named}'",
            where=f"{declaration.FILE}: schema",
            hint=f"make one with 'assay schema infer {named} --write'",
        )
    return found


def validate_tables(
    project: Project, declared: Declaration, names: Sequence[str], *, now: int
) -> list[Validation]:
    """Check tables against their schemas: the named ones, or all that have one.

    `now` is the moment against which they must be fresh, in microseconds since 1970.
    """
    if not names and not declared.schema:
        raise NotFound(
            "no table has a schema",
            where=declaration.FILE,
            hint="make one with 'assay schema infer TABLE --write'",
        )
    places = [find(project, declared, name) for name in names or declared.schema]
    expected = [declared_schema(declared, place) for place in places]
    return [
        validate.validate(
            _files(project, place),
            wanted,
            name=place.name or "",
            measured=profiles.of(project, place.path),
            key=place.key,
            time=place.time,
            now=now,
            target=None if declared.model is None else declared.model.target,
        )
        for place, wanted in zip(places, expected, strict=True)
    ]


def split_by_time(
    project: Project,
    place: Place,
    folder: Path,
    *,
    column: str | None,
    cuts: Mapping[str, float | str],
    gap: float,
) -> split.Header:
    """Split a table by time into a folder."""
    column = column or place.time
    if column is None:
        raise NotFound(
            "the table declares no time column",
            where=project.shown(place.path),
            hint="give '--time COLUMN', or declare 'time' under data.tables in assay.yaml",
        )
    with open_table(_files(project, place)) as table:
        made = split.by_time(table, column=column, cuts=cuts, gap=gap)
    return _written(project, place, folder, made)


def split_at_random(
    project: Project,
    place: Place,
    folder: Path,
    *,
    key: Sequence[str],
    shares: Mapping[str, float],
    salt: str,
) -> split.Header:
    """Split a table by hash of its key into a folder."""
    with open_table(_files(project, place)) as table:
        made = split.at_random(table, key=key or place.key, shares=shares, salt=salt)
    return _written(project, place, folder, made)


def compare_tables(
    project: Project,
    declared: Declaration,
    reference: str,
    current: str,
    *,
    columns: Sequence[str],
    exclude: Sequence[str],
    test: str,
    alpha: float,
    min_effect: float,
) -> Drift:
    """Compare two tables; the first may be a profile (.json). Their keys are left out."""
    base, keys = _reference(project, declared, reference)
    place = find(project, declared, current)
    left_out = [*exclude, *(name for name in (*keys, *place.key) if name not in columns)]
    known = {column.name for column in base.columns}
    return compare.compare(
        base,
        profiles.on_edges(project, place.path, base),
        columns=columns or None,
        exclude=[name for name in left_out if name in known or name in exclude],
        test=test,
        alpha=alpha,
        min_effect=min_effect,
    )


def _reference(
    project: Project, declared: Declaration, given: str
) -> tuple[Profile, tuple[str, ...]]:
    if given.endswith(".json") and given not in declared.data.tables:
        try:
            return profile.load(Path(given).read_bytes(), where=given), ()
        except FileNotFoundError as error:
            raise NotFound("there is no such profile", where=given) from error
    place = find(project, declared, given)
    return profiles.of(project, place.path), place.key


def _declared(project: Project, declared: Declaration, name: str) -> Place:
    table = declaration.table(declared, name)
    return Place(
        path=project.resolve(table.path, cwd=project.root),
        name=name,
        key=tuple(table.key),
        time=table.time,
    )


def _files(project: Project, place: Place) -> list[Path]:
    if not place.path.exists():
        raise NotFound(
            "there is no such file or folder",
            where=project.shown(place.path),
            hint="if it is tracked, get it with 'assay checkout' or 'assay pull'",
        )
    found = files.table_files(place.path)
    if found is None:
        raise Error(
            "this is not a table: neither CSV nor Parquet, nor a folder of either with one header",
            where=project.shown(place.path),
        )
    return found


def _written(project: Project, place: Place, folder: Path, made: split.Split) -> split.Header:
    content = scan.scan(place.path, project.index, skip=project.ignore)
    return split.write(folder, made, table=project.relative(place.path), data=f"md5:{content.oid}")
