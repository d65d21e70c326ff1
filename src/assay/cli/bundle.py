"""`bundle show/verify/export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from assay.base.progress import human_size
from assay.cli.output import json_option, note, show


@click.group("bundle")
def bundle_group() -> None:
    """Show, verify and export bundles.

    REF is a bundle's folder, its id or the beginning of it, a run that made it, or MODEL@VERSION
    with a number or an alias.
    """


@bundle_group.command("show")
@click.argument("ref")
@json_option
def bundle_show(ref: str, as_json: bool) -> int:
    """Show what is in a bundle; its model is not loaded."""
    from assay.workflows import bundles

    found = bundles.show(ref)
    show(found, as_json=as_json, text="" if as_json else _text(found))
    return 0


@bundle_group.command("verify")
@click.argument("ref")
@json_option
def bundle_verify(ref: str, as_json: bool) -> int:
    """Prove that a bundle is whole and answers as it did.

    Exits with 1 if it does not.
    """
    from assay.render.tables import text_table
    from assay.workflows import bundles

    verdict = bundles.verify(ref)
    rows = [[check.name, "ok" if check.ok else "no", check.text] for check in verdict.checks]
    show(verdict, as_json=as_json, text=text_table(["check", "", "found"], rows))
    return 0 if verdict.ok else 1


@bundle_group.command("export")
@click.argument("ref")
@click.argument("folder")
def bundle_export(ref: str, folder: str) -> int:
    """Write a bundle to FOLDER, to take it elsewhere.

    Where the ledger knows of it, 'record.json' lies beside: the runs that made it, their commits
    and metrics, and the versions that it is. It is no part of the bundle.
    """
    from assay.workflows import bundles

    made = bundles.export(ref, Path(folder))
    click.echo(made.id)
    note(f"wrote {folder}, {'with' if made.has_record else 'without'} a record of its making")
    return 0


def _text(found: dict[str, Any]) -> str:
    from assay.render.tables import text_table

    signature, reference, environment = (
        found[key] for key in ("signature", "reference", "environment")
    )
    span = f", {reference['start']} to {reference['end']}" if reference["n_days"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    facts = [
        ["id", found["id"]],
        ["name", found["name"] or "-"],
        ["model", found["model"].type],
        ["answers", _output(signature)],
        ["trained on", f"{reference['n_rows']:,} rows{span}"],
        ["needs", f"Python {environment.python}, {packages}"],
    ]
    width = max(len(key) for key, _ in facts)
    parts = ["\n".join(f"{key.ljust(width)}  {value}" for key, value in facts)]
    columns = [
        [column.name, column.type, "" if column.missing == "no" else "may be missing"]
        for column in signature.columns
    ]
    parts.append(text_table(["column", "type", ""], columns))
    if found["data"]:
        parts.append(text_table(["data", "oid"], [[*pair] for pair in found["data"].items()]))
    from assay.ledger.values import folded

    if found["params"]:
        rows = [[key, str(value)] for key, value in folded(found["params"]).items()]
        parts.append(text_table(["parameter", "value"], rows))
    files = [[name, human_size(file.size)] for name, file in found["files"].items()]
    parts.append(text_table(["file", "size"], files))
    return "\n\n".join(parts)


def _output(signature: Any) -> str:
    output = signature.output
    if output.classes is None:
        size = "" if output.shape == (-1,) else f", {output.shape[1]} a row"
        return f"{signature.task}: {output.type}{size}"
    shown = ", ".join(str(name) for name in output.classes[:8])
    more = ", ..." if len(output.classes) > 8 else ""
    return f"{signature.task}: {shown}{more}"
