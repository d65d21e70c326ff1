"""What bundles, versions, deployments, alerts, decisions and logged models are called in a trace.

Many at once, by one select a table; what the ledger does not have is not in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from assay.base.clock import iso
from assay.ledger.askable import askable
from assay.trace import decided
from assay.trace.things import Thing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

    from assay.ledger.database import Ledger


@askable
def load(ledger: Ledger, ids: Sequence[str]) -> dict[str, Thing]:
    """Return things by their names in the ledger: `version:bikes/3`, say."""
    by_kind: dict[str, list[str]] = {}
    for id_ in dict.fromkeys(ids):
        kind, _, rest = id_.partition(":")
        by_kind.setdefault(kind, []).append(rest)
    found: dict[str, Thing] = {}
    with ledger.read() as connection:
        for kind, names in by_kind.items():
            if kind in _KINDS:
                found |= {thing.id: thing for thing in _KINDS[kind](connection, names)}
    return found


def _bundles(_connection: Connection, names: list[str]) -> Iterable[Thing]:
    return [Thing(kind="bundle", id=f"bundle:{n}", label=f"bundle {n[:19]}") for n in names]


def _versions(connection: Connection, names: list[str]) -> Iterable[Thing]:
    from assay.ledger.tables import alias, version, version_tag

    models = sorted({name.rpartition("/")[0] for name in names})
    aliases: dict[str, list[str]] = {}
    for row in _rows(connection, alias, "model", models):
        aliases.setdefault(f"{row.model}/{row.version}", []).append(row.name)
    is_verdict = version_tag.c.key == "verdict"
    verdicts = {
        f"{row.model}/{row.version}": row.value
        for row in _rows(connection, version_tag, "model", models, is_verdict)
    }
    wanted = set(names)
    for row in _rows(connection, version, "model", models):
        name = f"{row.model}/{row.number}"
        if name in wanted:
            called = f" ({', '.join(sorted(aliases[name]))})" if name in aliases else ""
            gate = f", gate: {verdicts[name]}" if verdicts.get(name) else ""
            label = f"version {row.model}@{row.number}{called}{gate}{_deleted(row)}"
            yield Thing(kind="version", id=f"version:{name}", label=label)


def _deployments(connection: Connection, names: list[str]) -> Iterable[Thing]:
    from assay.ledger.tables import deployment

    for one in _rows(connection, deployment, "id", names):
        until = "now" if one.end is None else iso(one.end)
        why = f": {one.reason}" if one.reason else ""
        what = f"endpoint '{one.endpoint}' with {one.model}@{one.version}"
        label = f"{what} from {iso(one.start)} to {until}{why}"
        yield Thing(kind="deployment", id=f"deployment:{one.id}", label=label)


def _alerts(connection: Connection, names: list[str]) -> Iterable[Thing]:
    from assay.ledger.tables import alert

    return [decided.of_alert(row) for row in _rows(connection, alert, "id", names)]


def _decisions(connection: Connection, names: list[str]) -> Iterable[Thing]:
    from assay.ledger.tables import decision

    return [decided.of_decision(row) for row in _rows(connection, decision, "id", names)]


def _logged_models(connection: Connection, names: list[str]) -> Iterable[Thing]:
    from assay.ledger.tables import logged_model

    for row in _rows(connection, logged_model, "id", names):
        status = "" if row.status == "ready" else f", {row.status}"
        label = f"model {row.id[:10]} '{row.name}'{status}{_deleted(row)}"
        yield Thing(kind="logged_model", id=f"logged_model:{row.id}", label=label)


_KINDS: dict[str, Callable[[Connection, list[str]], Iterable[Thing]]] = {
    "bundle": _bundles,
    "version": _versions,
    "deployment": _deployments,
    "alert": _alerts,
    "decision": _decisions,
    "logged_model": _logged_models,
}


def _deleted(row: Row[Any]) -> str:
    return "" if row.deleted is None else ", deleted"


def _rows(
    connection: Connection, table: Table, column: str, values: list[str], *conditions: Any
) -> Iterable[Row[Any]]:
    from assay.ledger.found import within

    these = within(connection, table.c[column], values)
    return connection.execute(table.select().where(these, *conditions)).all()
