"""`model register/list/show/alias/tag/diff/delete`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import iso
from assay.cli.output import did, json_option, show, spelled
from assay.cli.run_places import bring, directory_option, has_runs, open_place
from assay.project import workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assay.ledger.models import Model
    from assay.ledger.runs import Change
    from assay.workflows.models import Shown
    from assay.workflows.version_diff import VersionDiff


@click.group("model")
def model_group() -> None:
    """Register bundles as versions of a model, name them, compare them."""


@model_group.command("register")
@click.argument("ref")
@click.option("--name", help="The model; by default that of assay.yaml, or of the bundle.")
@click.option("--alias", metavar="NAME", help="A name for the version, such as 'candidate'.")
@click.option("--description", metavar="TEXT", help="What is to be said of the version.")
@json_option
def register_command(
    ref: str, name: str | None, alias: str | None, description: str | None, as_json: bool
) -> int:
    """Make a bundle a version of a model.

    REF is a bundle's folder, its id or the beginning of it, or a run that made it. The same
    bundle again is the same version. The data and outputs of its run are kept apart from DVC's
    cache, so that 'dvc gc' cannot take them. Where 'hub.url' is set it is a model of the hub,
    which is sent the bundle, and the runs of this project that it lacks.
    """
    from assay.workflows import models

    done = models.register(
        workspace.find(), ref, name=name, alias=alias, description=description
    )  # fmt: skip
    what = "registered" if done.is_new else "was registered before"
    version = done.version
    text = f"{version.model}/{version.number} {what}: {version.bundle}"
    did(done, as_json=as_json, text=text)
    return 0


@model_group.command("list")
@directory_option
@json_option
def list_command(directory: Path | None, as_json: bool) -> int:
    """List the models of this ledger."""
    from assay.ledger import models as registry
    from assay.render.tables import text_table
    from assay.workflows import models

    found: list[Model] = []
    if has_runs(directory):
        with open_place(directory) as ledger:
            found = [one for one in registry.list_models(ledger) if not models.is_prompt(one)]
    rows = [
        [one.name, str(one.newest or "-"), _aliases(one.aliases), iso(one.updated)]
        for one in found
    ]
    none = "No models yet; 'assay model register REF' makes a bundle one."
    header = ["model", "newest", "aliases", "changed"]
    show(found, as_json=as_json, text=text_table(header, rows) if rows else none)
    return 0


@model_group.command("show")
@click.argument("name", metavar="NAME[@VERSION]")
@directory_option
@json_option
def show_command(name: str, directory: Path | None, as_json: bool) -> int:
    """Show a model with its versions, or one of them.

    NAME@3, NAME/3 and NAME@ALIAS are one version; NAME alone is the model.
    """
    from assay.workflows import models

    with open_place(directory) as ledger:
        version = models.find_version(ledger, name)
        if version is not None:
            shown = models.show(ledger, version)
            show(shown, as_json=as_json, text=_version_text(shown))
            return 0
        model, versions = models.show_model(ledger, name)
    document = {"model": model, "versions": versions}
    show(document, as_json=as_json, text=_model_text(model, versions))
    return 0


@model_group.command("alias")
@click.argument("model", metavar="NAME")
@click.argument("alias")
@click.argument("version", required=False)
@click.option("--delete", is_flag=True, help="Take the alias away.")
@directory_option
@json_option
def alias_command(
    model: str,
    alias: str,
    version: str | None,
    delete: bool,
    directory: Path | None,
    as_json: bool,
) -> int:
    """Let ALIAS name a version, whichever it named before.

    VERSION is a number, or another alias of the model NAME; or write NAME@VERSION ALIAS.
    """
    from assay.workflows import models

    if delete and version is not None:
        raise click.UsageError("Give a VERSION, or --delete.")
    with open_place(directory) as ledger:
        if delete:
            found = models.delete_alias(ledger, model, alias)
            text = f"{model}@{alias} is gone; it was {found.name}"
        else:
            found = models.set_alias(ledger, model, alias, version=version)
            text = f"{found.model}@{alias} is {found.name}"
    did(found, as_json=as_json, text=text)
    return 0


@model_group.command("tag")
@click.argument("name", metavar="NAME[@VERSION]")
@click.argument("tags", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--remove", multiple=True, metavar="KEY", help="Take a tag away; may be repeated.")
@directory_option
@json_option
def tag_command(
    name: str,
    tags: tuple[str, ...],
    remove: tuple[str, ...],
    directory: Path | None,
    as_json: bool,
) -> int:
    """Set tags of a model, or of one version of it, over those of the same key.

    Without KEY=VALUE and without --remove, show the tags.
    """
    from assay.render.tables import text_table
    from assay.workflows import model_tags

    wrong = [tag for tag in tags if "=" not in tag]
    if wrong:
        raise click.UsageError(f"'{wrong[0]}' is no KEY=VALUE.")
    pairs = dict(tag.split("=", 1) for tag in tags)
    with open_place(directory) as ledger:
        found = model_tags.change_tags(ledger, name, tags=pairs, remove=remove)
    rows = [[key, value] for key, value in found.tags.items()]
    text = text_table(["tag", "value"], rows) if rows else f"{found.name} has no tags."
    (did if tags or remove else show)(found, as_json=as_json, text=text)
    return 0


@model_group.command("diff")
@click.argument("a", metavar="A@VERSION")
@click.argument("b", metavar="B@VERSION")
@directory_option
@json_option
def diff_command(a: str, b: str, directory: Path | None, as_json: bool) -> int:
    """Show what differs between two versions, of one model or of two.

    Compared are metrics, parameters, data by content, code, packages and the files of the
    bundles. What one of them does not know is named, and not compared.
    """
    from assay.workflows import models, version_diff

    with open_place(directory) as ledger:
        first, second = models.get(ledger, a), models.get(ledger, b)
        bundles = [one.bundle.removeprefix("sha256:") for one in (first, second) if one.bundle]
        found = version_diff.diff(ledger, bring(directory, bundles), first, second)
    show(spelled(found), as_json=as_json, text=_diff_text(found))
    return 0


@model_group.command("delete")
@click.argument("name", metavar="NAME[@VERSION]")
@click.option("--force", is_flag=True, help="Also where an alias names it, or it was deployed.")
@directory_option
@json_option
def delete_command(name: str, force: bool, directory: Path | None, as_json: bool) -> int:
    """Delete a version, or a model with all of its versions.

    The number of a deleted version is not given again as long as there is the model; those of a
    new model of that name begin at 1, or go on where an endpoint answered with a version of the
    old one or a retraining made one. What an endpoint answers with is never deleted. Bundles stay
    until 'assay gc' finds that nothing names them. Exits with 1 where it is refused.
    """
    from assay.workflows import models

    with open_place(directory) as ledger:
        done = models.delete(ledger, name, force=force)
    free = f"; free now: {', '.join(done.aliases)}" if done.aliases else ""
    did(done, as_json=as_json, text=f"{done.name} is deleted{free}")
    return 0


def _aliases(aliases: dict[str, int]) -> str:
    return ", ".join(f"{name}={number}" for name, number in aliases.items()) or "-"


def _model_text(model: Model, versions: list[Shown]) -> str:
    from assay.render.tables import text_table

    rows = [
        [
            str(shown.version.number),
            ", ".join(shown.version.aliases) or "-",
            shown.verdict or "-",
            ", ".join(shown.endpoints) or "-",
            iso(shown.version.created),
            (shown.version.bundle or shown.version.source or "-")[:19],
            (shown.version.run or "-")[:13],
        ]
        for shown in versions
    ]
    header = ["version", "aliases", "gate", "deployed", "registered", "bundle", "run"]
    tags = ", ".join(f"{key}={value}" for key, value in model.tags.items())
    facts = _facts([("model", model.name), ("description", model.description), ("tags", tags)])
    return f"{facts}\n\n{text_table(header, rows) if rows else 'It has no versions.'}"


def _facts(facts: Sequence[tuple[str, str | None]]) -> str:
    from assay.render.tables import visible

    known = [(key, value) for key, value in facts if value]
    width = max(len(key) for key, _ in known)
    return "\n".join(f"{key:<{width}}  {visible(value)}" for key, value in known)


def _version_text(shown: Shown) -> str:
    from assay.render.tables import format_number, text_table
    from assay.workflows.model_tags import free_tags

    version = shown.version
    tags = free_tags(version)
    facts = [
        ("version", version.name),
        ("description", version.description),
        ("aliases", ", ".join(version.aliases)),
        ("stage", "" if version.stage == "None" else version.stage),
        ("status", "" if version.status == "ready" else version.status),
        ("bundle", version.bundle),
        ("source", version.source),
        ("files", version.artifact_uri),
        ("run", version.run or version.foreign_run),
        ("registered", iso(version.created)),
        ("by", version.owner),
        ("gate", shown.verdict),
        ("comparison", shown.comparison),
        ("deployed", ", ".join(shown.endpoints)),
        *((f"tag {key}", value or '""') for key, value in tags.items()),
    ]
    text = _facts(facts)
    if not shown.metrics:
        return text
    rows = [[key, format_number(value)] for key, value in shown.metrics.items()]
    return f"{text}\n\n{text_table(['metric', 'value'], rows)}"


def _diff_text(found: VersionDiff) -> str:
    from assay.render.tables import format_change, text_table

    parts = []
    for title in ("metrics", "params"):
        changes: tuple[Change, ...] = getattr(found, title)
        rows = [
            [
                c.key,
                "-" if c.only == "b" else _cell(c.a),
                "-" if c.only == "a" else _cell(c.b),
                "" if c.absolute is None else format_change(c.a, c.b),
            ]
            for c in changes
        ]
        if rows:
            parts.append(text_table([title, found.a, found.b, "change"], rows))
    for title in ("data", "code", "contents", "facts"):
        changes = getattr(found, title)
        if changes:
            rows = [[c.key, _short(c.a), _short(c.b)] for c in changes]
            parts.append(text_table([title, found.a, found.b], rows))
    if found.environment:
        header = f"environment of {found.b}, beside that of {found.a}"
        parts.append(text_table([header], [[line] for line in found.environment]))
    if found.is_empty:
        parts.append(f"{found.a} and {found.b} are the same in all that was compared.")
    if found.unknown:
        parts.append(f"Not compared, since not recorded here: {', '.join(found.unknown)}.")
    return "\n\n".join(parts)


def _cell(value: Any) -> str:
    from assay.render.tables import format_number

    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return format_number(value) if is_number else str(value)


def _short(value: Any) -> str:
    """Return a value for a table: of a hash, as much as tells it apart."""
    if value is None:
        return "-"
    match = re.fullmatch(r"((?:\w+:)?[0-9a-f]{8}-?[0-9a-f]{4})[0-9a-f-]{20,}(\.dir)?", str(value))
    return f"{match[1]}{match[2] or ''}" if match else str(value)
