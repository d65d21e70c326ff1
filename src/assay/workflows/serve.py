"""What `assay serve` and `assay feedback` do: deployments, bundles and the log, in one process."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.project import declaration
from assay.project.declaration import Declaration
from assay.project.settings import Store, ledger_where
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.bundle.load import Bundle
    from assay.data.read import Table, TableColumn
    from assay.ledger.database import Ledger
    from assay.serve.limits import Limits
    from assay.traffic.feedback import Counts
    from assay.traffic.record import Truth
    from assay.traffic.targets import Targets

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NEEDED = ("starlette", "uvicorn", "httptools")
_PREDICTION_ID, _VALUE = "prediction_id", "value"


def serve(
    project: Project,
    endpoint: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    token: str | None = None,
    limits: Limits | None = None,
    listens: Callable[[str], object] = lambda _: None,
    say: Callable[[str], object] = lambda _: None,
) -> None:
    """Answer requests for an endpoint until the process is told to end.

    Parameters
    ----------
    port : int
        0 takes a free one.
    token : str or None
        What clients have to send; needed where others than this machine can ask.
    limits : Limits, optional
        What a request may be at most; without it, the settings `serve.*` say so.
    listens, say : callable
        Are told the URL once it can be asked, and what happens.

    Raises
    ------
    assay.Error
        If what serving needs is not installed, or the address cannot be had.
    """
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise Error(
            "serving needs an extra that is not installed", hint="pip install 'assay[serve]'"
        )
    for name in ONE_THREAD:  # read by libraries that are not loaded yet
        os.environ[name] = "1"
    declared = declaration.read(project)
    from assay.serve import limits as bounds
    from assay.serve import server
    from assay.serve.listening import listen
    from assay.serve.predict import Beside
    from assay.traffic import targets

    limits = limits or bounds.from_settings(Store(project).value)
    listening = listen(host, port, token=token)
    with listening, _ledger(project) as ledger:
        _check(ledger, endpoint, say)
        listens(server.url(listening))
        tables = declared.data.tables.values()
        server.run(
            listening,
            ledger=ledger,
            endpoint=endpoint,
            load=lambda id_: _open(project, id_),
            folder=project.traffic_dir,
            token=token,
            limits=limits,
            expected=targets.declared(declared, endpoint),
            beside=Beside(
                keys=frozenset(name for table in tables for name in table.key),
                times=frozenset(table.time for table in tables if table.time is not None),
            ),
            say=say,
        )


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with truths; `counts` is of all that ever came.

    Attributes
    ----------
    waits : str or None
        The prediction id that no prediction in the log has, so far.
    """

    n_truths: int
    counts: Counts
    waits: str | None = None


def add_truth(project: Project, endpoint: str, *, prediction_id: str, value: Any) -> Given:
    """Keep the truth of one prediction.

    Raises
    ------
    assay.Error
        If it is none that the declared model could have answered.
    Usage, NotFound
        If it is not said which row of the prediction is meant; if it has no such row.
    """
    from assay.traffic import feedback, targets

    expected = targets.declared(declaration.read(project), endpoint)
    one = feedback.truth(
        value, at=now_ms(), prediction_id=prediction_id, endpoint=endpoint, expected=expected
    )
    is_known = _check_row(project, prediction_id)
    given = _keep(project, endpoint, [one])
    return given if is_known else msgspec.structs.replace(given, waits=one.prediction_id)


def add_truths(
    project: Project, endpoint: str, path: Path, *, key: str | None, target: str | None
) -> Given:
    """Keep the truths of a table, one a row.

    Parameters
    ----------
    key : str, optional
        The column whose value was sent with the request; without it, the table has the column
        `prediction_id`, or the one key that the declaration names.
    target : str, optional
        The column of the truth; without it, `value`, or the declared target.

    Raises
    ------
    assay.Error
        If a column is missing, or a row has no id or no truth; then none is kept.
    """
    from assay.data.read import open_table
    from assay.traffic import targets

    declared = declaration.read(project)
    with open_table([path]) as table:
        names = [column.name for column in table.columns]
        found_key = _key(declared, names, key, where=path)
        found_target = _pick(names, [target] if target else [_VALUE, _declared(declared)],
                             what="the truth", option="--target", where=path)  # fmt: skip
        truths = list(
            _truths(
                table, endpoint, key=found_key, target=found_target, where=path,
                expected=targets.declared(declared, endpoint),
            )
        )  # fmt: skip
    return _keep(project, endpoint, truths)


def parse(text: str) -> Any:
    """Return a value that was typed: what JSON takes for a number or a boolean is one.

    Examples
    --------
    >>> parse("12.5"), parse("true"), parse("busy"), parse('"7"')
    (12.5, True, 'busy', '7')
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _check(ledger: Ledger, endpoint: str, say: Callable[[str], object]) -> None:
    """Say that nothing is deployed yet; the name may be a slip."""
    from assay.deploy.endpoints import endpoints, live

    if live(ledger, endpoint) is None:
        near = did_you_mean(endpoint, endpoints(ledger))
        hint = near or f"assay deploy MODEL@VERSION --to {endpoint}"
        say(f"nothing is deployed to '{endpoint}' yet\n  hint: {hint}")


def _open(project: Project, id_: str) -> Bundle:
    from assay.bundle import contents, load

    return load.open_contents(
        contents.read_objects(project.objects, id_.removeprefix("sha256:"))
    )  # fmt: skip


def _ledger(project: Project, *, create: bool = True) -> Ledger:
    from assay.ledger.database import open_ledger

    where = os.environ.get("ASSAY_LEDGER") or ledger_where(project)
    return open_ledger(where, create=create)


def _keep(project: Project, endpoint: str, truths: list[Truth]) -> Given:
    from assay.deploy.endpoints import endpoints
    from assay.traffic import feedback

    with _ledger(project, create=False) as ledger:
        known = endpoints(ledger)
    if endpoint not in known:
        raise NotFound(
            f"nothing was ever deployed to '{endpoint}'",
            hint=did_you_mean(endpoint, known) or "see 'assay deployments list'",
        )
    folder = project.traffic_dir
    n_truths = feedback.add(folder, truths)
    return Given(n_truths=n_truths, counts=feedback.counts(folder))


def _check_row(project: Project, prediction_id: str) -> bool:
    """Return whether the log has a prediction, once its row is known to be one."""
    from assay.traffic import find
    from assay.traffic.ids import split_id

    id_, row = split_id(prediction_id)
    folder = project.traffic_dir
    found = find.find(folder, id_) if folder.is_dir() else None
    if found is None:
        return False
    n_rows = found.record.n_rows
    known = find.rows_in_words(id_, n_rows)
    if row is None and n_rows > 1:
        raise Usage(f"it is not said which row the truth is for: {known}")
    if row is not None and row >= n_rows:
        raise NotFound(f"there is no prediction '{prediction_id}'", hint=known)
    return True


def _truths(
    table: Table,
    endpoint: str,
    *,
    key: str,
    target: str,
    where: Path,
    expected: Targets | None,
) -> Iterator[Truth]:
    from assay.traffic import feedback

    columns = {column.name: column for column in table.columns}
    sql = f"SELECT {_term(columns[key])}, {_term(columns[target])} FROM t ORDER BY rowid"  # noqa: S608 -- references that `open_table` quoted
    at = now_ms()
    for number, (name, value) in enumerate(table.execute(sql).fetchall(), start=1):
        try:
            if key == _PREDICTION_ID:
                yield feedback.truth(
                    value, at=at, endpoint=endpoint, prediction_id=name, expected=expected
                )
            else:
                yield feedback.truth(
                    value, at=at, endpoint=endpoint, column=key, key=name, expected=expected
                )
        except Error as error:
            place = f"{where}: data row {number}"
            raise Error(error.what, where=place, hint=error.hint) from error


def _term(column: TableColumn) -> str:
    """Return a column in SQL; times are sent as text, so they are compared as text."""
    if column.type != "time":
        return column.ref
    return f"strftime({column.ref}, '%Y-%m-%dT%H:%M:%S')"


def _declared(declared: Declaration) -> str | None:
    return None if declared.model is None else declared.model.target


def _key(declared: Declaration, names: list[str], key: str | None, *, where: Path) -> str:
    if key is not None:
        return _pick(names, [key], what="the key", option="--key", where=where)
    single = {table.key[0] for table in declared.data.tables.values() if len(table.key) == 1}
    candidates = [_PREDICTION_ID, *sorted(single)]
    return _pick(names, candidates, what="the prediction", option="--key", where=where)


def _pick(
    names: list[str], candidates: Sequence[str | None], *, what: str, option: str, where: Path
) -> str:
    wanted = [name for name in candidates if name is not None]
    for name in wanted:
        if name in names:
            return name
    near = did_you_mean(wanted[0], names) if len(wanted) == 1 else None
    raise Usage(
        f"no column '{wanted[0]}' for {what}; the table has: {', '.join(names)}",
        where=where,
        hint=near or f"name it with {option}",
    )
