"""Experiments as a table: one row each, a column for each metric, parameter and dependency."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from assay.base.errors import Usage, did_you_mean
from assay.project.params import flatten
from assay.workflows.experiment_records import Document

_FIXED = ("Experiment", "rev", "typ", "Created", "parent", "State", "Executor")
_SHORT = 7  # letters of a hash for people
_QUEUE = "dvc-task"  # what runs a queue, in DVC's JSON
_BRANCH = {"baseline": "", "branch_commit": "├── ", "branch_base": "└── "}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns a table has, and in which order its rows stand.

    Attributes
    ----------
    only_changed : bool
        Only columns of values that differ.
    drop, keep : tuple of str
        Patterns of columns that go, and of those that stay whatever else goes.
    sort_by : str or None
        A metric or parameter, `FILE:NAME` where several have the name.
    """

    only_changed: bool = False
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    sort_by: str | None = None
    descending: bool = False


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of values: where they are, and what is written above."""

    part: str  # "metrics", "params" or "deps"
    file: str
    key: str
    title: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A header and rows of text."""

    header: list[str]
    rows: list[list[str]]


def table(
    documents: Sequence[Document],
    look: Look,
    *,
    write: Callable[[Any], str],
    absent: str = "-",
    as_csv: bool = False,
) -> Table:
    """Return the table of experiments.

    Parameters
    ----------
    documents : sequence of dict
        What `experiment_records.collect` found.
    write : callable
        Makes text of a value.
    absent : str
        What stands for a value that is not there.
    as_csv : bool
        Names and commits in columns of their own, and times as ISO 8601, as in DVC's CSV.

    Raises
    ------
    Usage
        If a pattern is none, or there is no such column to sort by.
    """
    columns = _columns(documents)
    by = _find(columns, look.sort_by) if look.sort_by is not None else None
    lines = list(_lines(documents, by, descending=look.descending))
    fixed = [_fixed(line, as_csv=as_csv, absent=absent) for line in lines]

    def text(value: Any, column: Column) -> str:
        return write(value if as_csv or column.part != "deps" else str(value)[:_SHORT])

    values = [[_cell(line, column, text, absent) for column in columns] for line in lines]
    titles = [*_FIXED, *(column.title for column in columns)]
    rows = [[*left, *right] for left, right in zip(fixed, values, strict=True)]
    shown = _shown(titles, rows, look, absent)
    if not as_csv:
        rows = [[_labelled(line, row), *row[1:]] for line, row in zip(lines, rows, strict=True)]
        shown = [at for at in shown if titles[at] not in {"rev", "typ", "parent"}]
    return Table(
        header=[titles[at] for at in shown], rows=[[row[at] for at in shown] for row in rows]
    )


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what is known of a revision, and its place in the tree."""

    document: Document
    kind: str
    executor: Document | None = None


def _lines(
    documents: Iterable[Document], by: Column | None, *, descending: bool
) -> Iterable[_Line]:
    for document in documents:
        yield _Line(document=document, kind="baseline")
        children = document["experiments"] or []
        if by is not None:
            children = _sorted(children, by, descending=descending)
        for number, child in enumerate(children, start=1):
            kind = "branch_base" if number == len(children) else "branch_commit"
            yield _Line(document=child["revs"][0], kind=kind, executor=child["executor"])


def _sorted(children: list[Document], by: Column, *, descending: bool) -> list[Document]:
    """Return experiments by a value; those without it come last."""
    pairs = [(_value(child["revs"][0], by), child) for child in children]
    there = [pair for pair in pairs if pair[0] is not None]
    numeric = all(isinstance(value, int | float) for value, _ in there)
    there.sort(key=lambda pair: pair[0] if numeric else str(pair[0]), reverse=descending)
    return [child for _, child in there] + [child for value, child in pairs if value is None]


def _columns(documents: Iterable[Document]) -> list[Column]:
    names: dict[str, dict[tuple[str, str], None]] = {"metrics": {}, "params": {}, "deps": {}}
    for document in _every(documents):
        data = document["data"] or {}
        for part in ("metrics", "params"):
            for file, one in data.get(part, {}).items():
                found = one.get("data", {})
                keys = flatten(found) if isinstance(found, dict) else {file: found}
                names[part].update({(file, key): None for key in keys})
        names["deps"].update({(path, path): None for path in data.get("deps", {})})
    ordered = [
        (part, file, key)
        for part in ("metrics", "params")
        for file in dict.fromkeys(file for file, _ in names[part])
        for other, key in names[part]
        if other == file
    ]
    count = Counter([*_FIXED, *(key for _, _, key in ordered)])
    found = [
        Column(part=part, file=file, key=key, title=key if count[key] == 1 else f"{file}:{key}")
        for part, file, key in ordered
    ]
    deps = sorted(path for path, _ in names["deps"])
    return found + [Column(part="deps", file=path, key=path, title=path) for path in deps]


def _every(documents: Iterable[Document]) -> Iterable[Document]:
    for document in documents:
        yield document
        for child in document["experiments"] or []:
            yield child["revs"][0]


def _find(columns: Sequence[Column], name: str) -> Column:
    possible = [column for column in columns if column.part != "deps"]
    found = [column for column in possible if name == f"{column.file}:{column.key}"]
    found = found or [column for column in possible if name.removeprefix(":") == column.key]
    if len(found) == 1:
        return found[0]
    if found:
        raise Usage(
            f"several columns are called '{name}'",
            where="--sort-by",
            hint=f"name one of {', '.join(f'{c.file}:{c.key}' for c in found)}",
        )
    titles = [column.title for column in possible]
    raise Usage(
        f"there is no metric or parameter '{name}'",
        where="--sort-by",
        hint=did_you_mean(name, titles) or f"there are {', '.join(titles) or 'none'}",
    )


def _value(document: Document, column: Column) -> Any:
    one = ((document["data"] or {}).get(column.part) or {}).get(column.file)
    if one is None:
        return None
    if column.part == "deps":
        return one["hash"]
    found = one.get("data", {})
    return flatten(found).get(column.key) if isinstance(found, dict) else found


def _cell(line: _Line, column: Column, text: Callable[[Any, Column], str], absent: str) -> str:
    value = _value(line.document, column)
    if value is not None:
        return text(value, column)
    one = ((line.document["data"] or {}).get(column.part) or {}).get(column.file) or {}
    return "!" if "error" in one else absent


def _fixed(line: _Line, *, as_csv: bool, absent: str) -> list[str]:
    document, executor = line.document, line.executor or {}
    commit = document["rev"]
    rev = commit[:7] if len(commit) >= 40 else commit
    is_baseline = line.kind == "baseline"
    name = document["name"]
    at = (document["data"] or {}).get("timestamp")
    runner = executor.get("name") or absent
    return [
        "" if is_baseline else name or "",
        (name or rev) if is_baseline else rev,
        line.kind,
        absent if at is None else at if as_csv else _for_people(at),
        "",
        (executor.get("state") or absent).capitalize(),
        ("queue" if runner == _QUEUE and not as_csv else runner).capitalize(),
    ]


def _for_people(at: str) -> str:
    moment = dt.datetime.fromisoformat(at)
    today = moment.date() == dt.datetime.now().date()  # noqa: DTZ005 -- a person's day
    return f"{moment:%H:%M}" if today else f"{moment:%Y-%m-%d}"


def _labelled(line: _Line, row: Sequence[str]) -> str:
    name, rev = row[0], row[1]
    return f"{_BRANCH[line.kind]}{f'{rev} [{name}]' if name else rev}"


def _shown(
    titles: Sequence[str], rows: Sequence[Sequence[str]], look: Look, absent: str
) -> list[int]:
    keep, drop = _pattern(look.keep, "--keep"), _pattern(look.drop, "--drop")
    found = []
    for at, title in enumerate(titles):
        cells = {row[at] for row in rows}
        if keep is not None and keep.match(title):
            found.append(at)
            continue
        is_empty = title in {"State", "Executor"} and cells <= {absent, ""}
        is_same = look.only_changed and title not in _FIXED and len(cells) <= 1
        is_dropped = drop is not None and drop.match(title)
        if not (is_empty or is_same or is_dropped):
            found.append(at)
    return found


def _pattern(given: Sequence[str], option: str) -> re.Pattern[str] | None:
    try:
        return re.compile("|".join(given)) if given else None
    except re.error as error:
        raise Usage(
            f"it is no pattern: {error}",
            where=option,
            hint="a regular expression, such as 'acc.*'",
        ) from error
