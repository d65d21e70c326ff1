"""`loop`, `retrain` and `decisions`: the conductor that watches, retrains and replaces."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from assay.base.clock import duration, iso
from assay.cli.output import did, is_quiet, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.ledger.decisions import Decision
    from assay.loop.loop import Tell

EXIT_CODES = {"deployed": 0, "refused": 1, "inconclusive": 3, "failed": 255}
_branch = click.option(
    "--branch", metavar="NAME",
    help="Branch that code and declaration come from; by default the one that is checked out.",
)  # fmt: skip


@click.command("loop")
@click.argument("endpoint", required=False)
@click.option("--once", is_flag=True, help="Do what is due, and end.")
@click.option("--every", default=5.0, show_default=True, metavar="SECONDS",
              type=click.FloatRange(min=0.05), help="How long to rest after a pass.")  # fmt: skip
@_branch
@json_option
def loop_command(
    endpoint: str | None, once: bool, every: float, branch: str | None, as_json: bool
) -> int:
    """Watch ENDPOINT, retrain when something triggers it, and deploy what the gate lets pass.

    What is watched and what triggers is declared in assay.yaml ('monitor', 'retrain') on the
    branch that is checked out when the loop starts. A retraining works in a work tree of its own
    and commits to the branch assay/ENDPOINT; yours is not touched. With --json each event is one
    line of JSON. End it with Ctrl-C, at any moment: the next one goes on where it was.
    """
    from assay.loop import loop as loops
    from assay.workflows import looping

    project = workspace.find()
    with looping.opened(project, endpoint, branch=branch, tell=_teller(as_json=as_json)) as loop:
        with loops.only_loop(project, loop.endpoint):
            if not once:
                note(
                    f"watching '{loop.endpoint}' with the code of '{loop.branch}'; Ctrl-C ends it"
                )
                loops.run(loop, poll=every)
            passed = loops.one_pass(loop)
        if as_json:
            loop.tell({"event": "passed", **msgspec.to_builtins(passed)})
        elif not passed.decisions:
            seen = (
                "nothing is logged yet"
                if passed.watermark is None
                else f"watched up to {iso(passed.watermark)}"
            )
            did(passed, as_json=False, text=f"{seen}; nothing to retrain")
        if passed.waiting and not as_json:
            note(passed.waiting)
    return 0


@click.command("retrain")
@click.argument("endpoint", required=False)
@click.option("--reason", metavar="TEXT", help="Why; it is kept with the decision.")
@_branch
@json_option
def retrain_command(
    endpoint: str | None, reason: str | None, branch: str | None, as_json: bool
) -> int:
    """Retrain the model of ENDPOINT now, and deploy it if the gate lets it pass.

    Where 'assay loop' runs, that one does it. Exit code 0: deployed; 1: refused; 3: not enough
    data to tell; production stays then.
    """
    from assay.workflows import looping

    quiet = as_json or is_quiet()
    tell = (lambda _: None) if quiet else _teller(as_json=False)
    with looping.opened(workspace.find(), endpoint, branch=branch, tell=tell) as loop:
        decision, is_done = looping.retrain(loop, reason=reason)
    if not is_done:
        text = f"begun as {decision.id}; the loop that runs here goes on with it"
        did(decision, as_json=as_json, text=text)
        return 0
    show(decision, as_json=as_json, text="" if not quiet or as_json else _sentence(decision))
    return EXIT_CODES[decision.outcome or "failed"]


@click.group("decisions")
def decisions_group() -> None:
    """Show retrainings: what triggered each, and what came of it."""


@decisions_group.command("list")
@click.argument("endpoint", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1),
              help="How many, the newest first.")  # fmt: skip
@json_option
def list_command(endpoint: str | None, limit: int, as_json: bool) -> int:
    """List the retrainings of ENDPOINT, or of all, newest first."""
    from assay.ledger import decisions
    from assay.workflows.models import open_ledger

    with open_ledger(workspace.find()) as ledger:
        found = decisions.list_decisions(ledger, endpoint, limit=limit)
    show(found, as_json=as_json, text=_table(found) if found else "No retraining yet.")
    return 0


@decisions_group.command("show")
@click.argument("decision")
@json_option
def show_command(decision: str, as_json: bool) -> int:
    """Show one retraining: DECISION is an id, or the beginning of one."""
    from assay.ledger import decisions
    from assay.workflows.models import open_ledger

    with open_ledger(workspace.find()) as ledger:
        found = decisions.get(ledger, decision)
    show(found, as_json=as_json, text=_details(found))
    return 0


def _teller(*, as_json: bool) -> Tell:
    """Return what prints events: each a line of JSON, or a sentence."""
    quiet = is_quiet()

    def tell(event: Mapping[str, Any]) -> None:
        if as_json:
            sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
        elif not quiet:
            text = _in_words(event)
            if text:
                sys.stdout.write(text + "\n")
        sys.stdout.flush()

    return tell


def _in_words(event: Mapping[str, Any]) -> str:
    match event["event"]:
        case "window":
            end = event["end"][:10]
            return f"{event['start'][:10]} to {end}: {event['n_rows']:,} rows, {event['version']}"
        case "alert":
            return f"alert: {event['message']}"
        case "retraining" | "resumed":
            begins = (
                "retraining" if event["event"] == "retraining" else "going on with a retraining"
            )
            return f"{begins} ({event['trigger']}): {event.get('why') or event['id']}"
        case "idle":
            return f"waiting: {event['waiting']}" if event.get("waiting") else ""
        case "decision":
            version = f": {event['version']}" if event["outcome"] == "deployed" else ""
            stays = "" if version else "; production stays"
            took = duration(event["seconds"])
            return f"  {event['outcome']}{version} ({event['reason']}){stays}, {took}"
        case "error":
            return f"error: {event['message']}" + (
                f"\n  hint: {event['hint']}" if event.get("hint") else ""
            )
        case "note":
            return f"  {event['message']}"
        case _:
            return ""


def _table(found: Sequence[Decision]) -> str:
    from assay.render.tables import text_table

    return text_table(
        ["decision", "endpoint", "up to", "trigger", "outcome", "version", "why"],
        [
            [
                one.id[:13], one.endpoint, iso(one.window_end)[:10], one.trigger,
                one.outcome or f"{one.step} ...", one.version or "", one.reason or "",
            ]
            for one in found
        ],
    )  # fmt: skip


def _sentence(decision: Decision) -> str:
    return f"{decision.outcome}: {decision.reason}"


def _details(one: Decision) -> str:
    rows = [
        ("decision", one.id),
        ("endpoint", one.endpoint),
        ("trigger", one.trigger),
        ("why", one.details.get("why")),
        ("rows up to", iso(one.window_end)),
        ("begun", iso(one.at)),
        ("ended", None if one.ended is None else iso(one.ended)),
        ("outcome", one.outcome or f"not yet: {one.step} is done"),
        ("reason", one.reason),
        ("hint", one.details.get("hint")),
        ("alert", one.alert),
        ("commit", one.commit),
        ("run", one.run),
        ("candidate", one.candidate),
        ("base", one.base),
        ("verdict", one.verdict),
        ("version", one.version),
        ("deployment", one.deployment),
    ]
    text = "\n".join(f"{name:<11} {value}" for name, value in rows if value is not None)
    for metric, values in one.details.get("judged", {}).items():
        text += f"\n{metric:<11} candidate {values['candidate']:.4g}"
        if values["base"] is not None:
            text += f", base {values['base']:.4g}"
    log = one.details.get("log")
    return text + (f"\n\n{log}" if log else "")
