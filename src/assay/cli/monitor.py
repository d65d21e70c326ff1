"""`monitor`, and `alerts list/show/ack/resolve`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import msgspec

from assay.base.clock import iso
from assay.cli.output import did, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.ledger.alerts import Alert
    from assay.ledger.windows import Window
    from assay.workflows.monitoring import Seen

note_option = click.option("--note", "text", metavar="TEXT", help="Why, for the record.")
SHOWN = 3  # columns that a row of the table names


@click.command("monitor")
@click.argument("endpoint", required=False)
@click.option(
    "--last",
    default=12,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1),
    help="How many windows to show.",
)
@json_option
def monitor_command(endpoint: str | None, last: int, as_json: bool) -> int:
    """Compare the traffic of ENDPOINT with the training data, window by window.

    Windows of event time that are over are computed, once, and stored in the ledger; those that
    wait for truth are completed. What has drifted, broke or became worse raises an alert. By
    default it is the endpoint of assay.yaml.
    """
    from assay.workflows import monitoring

    seen = monitoring.monitor(workspace.find(), endpoint, last=last, say=note)
    show(seen, as_json=as_json, text=_text(seen))
    return 0


@click.group("alerts")
def alerts_group() -> None:
    """List the alerts of monitors, and answer them."""


@alerts_group.command("list")
@click.argument("endpoint", required=False)
@click.option("--all", "resolved", is_flag=True, help="Also those that were resolved.")
@json_option
def list_command(endpoint: str | None, resolved: bool, as_json: bool) -> int:
    """List alerts, newest first: of ENDPOINT, or of all."""
    from assay.workflows import monitoring

    found = monitoring.list_alerts(workspace.find(), endpoint, resolved=resolved)
    none = "No alerts." if resolved else "No open alerts; '--all' shows those that were resolved."
    show(found, as_json=as_json, text=_alerts(found) if found else none)
    return 0


@alerts_group.command("show")
@click.argument("alert", metavar="ID")
@json_option
def show_command(alert: str, as_json: bool) -> int:
    """Show an alert with its evidence. The beginning of an id will do."""
    from assay.workflows import monitoring

    found = monitoring.get_alert(workspace.find(), alert)
    show(found, as_json=as_json, text=_alert(found))
    return 0


@alerts_group.command("ack")
@click.argument("alert", metavar="ID")
@note_option
@json_option
def ack_command(alert: str, text: str | None, as_json: bool) -> int:
    """Say that you know of an alert; it stays until it is resolved."""
    from assay.workflows import monitoring

    found = monitoring.acknowledge(workspace.find(), alert, note=text)
    did(found, as_json=as_json, text=f"{found.id} is {found.state}: {found.message}")
    return 0


@alerts_group.command("resolve")
@click.argument("alert", metavar="ID")
@note_option
@json_option
def resolve_command(alert: str, text: str | None, as_json: bool) -> int:
    """Say that an alert is answered; it stays so."""
    from assay.workflows import monitoring

    found = monitoring.resolve(workspace.find(), alert, note=text)
    did(found, as_json=as_json, text=f"{found.id} is {found.state}: {found.message}")
    return 0


def _text(seen: Seen) -> str:
    from assay.render.tables import text_table

    watched = seen.watched
    if not seen.windows:
        if watched.watermark is None:
            return f"No predictions of '{watched.endpoint}' with an event time yet."
        return f"No window is over yet; rows came up to {iso(watched.watermark)}."
    parts = [text_table(_header(seen.windows), [_row(one) for one in seen.windows])]
    unused = [
        f"{count:,} {what}"
        for count, what in (
            (watched.n_late, "late"),
            (watched.n_future, "from the future"),
            (watched.n_untimed, "without event time"),
        )
        if count
    ]
    if unused:
        parts.append(f"rows that are not used: {', '.join(unused)}")
    parts.append(_alerts(seen.alerts) if seen.alerts else "No open alerts.")
    return "\n\n".join(parts)


def _header(windows: list[Window]) -> list[str]:
    """Return the header; the loss and the baseline by the names of the newest window."""
    measured = [found for one in windows if (found := one.details.get("performance"))]
    loss = measured[-1]["loss"] if measured else "loss"
    beside = measured[-1].get("baseline") if measured else None
    name = beside["name"] if beside else "baseline"
    return ["window", "rows", "truth", "state", "version", loss, "95% interval", "at gate", name,
            "drifted"]  # fmt: skip


def _row(window: Window) -> list[str]:
    from assay.monitor.windows import Span
    from assay.render.tables import ABSENT, format_number

    details = window.details
    answered = details.get("n_answered") or 0
    measured: Mapping[str, Any] = details.get("performance") or {}
    low, high = measured.get("low"), measured.get("high")
    ends = [format_number(end, 4) for end in (low, high)]
    return [
        str(Span(window.start, window.end)),
        f"{window.n_rows}",
        f"{window.n_truths / answered:.0%}" if answered else ABSENT,
        window.state,
        window.version or ABSENT,
        format_number(measured.get("value"), 4),
        f"{ends[0]} to {ends[1]}" if low is not None else ABSENT,
        format_number(measured.get("at_gate"), 4),
        format_number((measured.get("baseline") or {}).get("value"), 4),
        _drifted(details),
    ]


def _drifted(details: Mapping[str, Any]) -> str:
    """Return the columns that have drifted, the farthest first, and those that broke."""
    columns = {**details.get("columns", {}), "predictions": details.get("prediction") or {}}
    found = [(name, one) for name, one in columns.items() if one.get("state") == "drifted"]
    found.sort(key=lambda pair: -(pair[1].get("js_window") or 0.0))
    shown = [f"{name} {one.get('js_window') or 0.0:.2f}" for name, one in found[:SHOWN]]
    if len(found) > SHOWN:
        shown.append(f"and {len(found) - SHOWN} more")
    broken = dict.fromkeys(fault["column"] for fault in details.get("quality", []))
    shown += [f"{name} broken" for name in broken]
    if shown:
        return ", ".join(shown)
    states = {one.get("state") for one in columns.values() if one}
    return "learning" if states == {"learning"} else "-"


def _alerts(found: list[Alert]) -> str:
    from assay.render.tables import text_table

    rows = [[one.id, one.monitor, one.state, one.message] for one in found]
    return text_table(["alert", "monitor", "state", "what"], rows)


def _alert(found: Alert) -> str:
    facts = [
        ("alert", found.id),
        ("what", found.message),
        ("endpoint", found.endpoint),
        ("monitor", found.monitor),
        ("column", found.column),
        ("severity", found.severity),
        ("state", found.state),
        ("raised", iso(found.at)),
        ("acknowledged", None if found.acknowledged is None else iso(found.acknowledged)),
        ("resolved", None if found.resolved is None else iso(found.resolved)),
        ("note", found.note),
        ("deployment", found.deployment),
    ]
    known = [(key, value) for key, value in facts if value]
    width = max(len(key) for key, _ in known)
    text = "\n".join(f"{key:<{width}}  {value}" for key, value in known)
    if found.details:
        evidence = msgspec.json.format(msgspec.json.encode(found.details), indent=2).decode()
        text += f"\n\n{evidence}"
    return text
