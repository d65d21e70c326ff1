"""Bundles, versions, deployments and predictions as things: the way from an answer to its run.

The edges between them are in the ledger; only a prediction lies elsewhere, in the traffic.
"""

from __future__ import annotations

import re

from assay.base.clock import iso
from assay.base.errors import Error, NotFound
from assay.ledger import deployments, lineage, models
from assay.ledger.database import Ledger
from assay.project.workspace import Project
from assay.trace.things import Thing

KINDS = frozenset({"bundle", "version", "deployment", "prediction"})
CAME_FROM = {
    "registered_as": "registered from",
    "deployed_as": "answered with",
    "made": "made by",
}
LED_TO = {"registered_as": "registered as", "deployed_as": "deployed as", "made": "made"}
"""How an edge of the ledger reads upwards and downwards."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}(/\d+)?")


def find(project: Project, ledger: Ledger, name: str) -> Thing | None:
    """Return the bundle, version, deployment or prediction that a name means, or None."""
    kind, _, rest = name.partition(":")
    if kind in {"bundle", "version", "deployment"}:
        return of(ledger, f"{kind}:{rest}")
    if name.startswith("sha256:"):
        return _bundle(ledger, name)
    if "@" in name or "/" in name:
        version = _version(ledger, name)
        if version is not None:
            return version
    return _prediction(project, name) if _UUID.fullmatch(name) else None


def of(ledger: Ledger, id_: str) -> Thing:
    """Return a thing by its name in the ledger: `version:bikes/3`, say."""
    kind, _, rest = id_.partition(":")
    if kind == "bundle":
        return Thing(kind="bundle", id=id_, label=f"bundle {rest[:19]}")
    if kind == "version":
        version = models.get_version(ledger, rest)
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        verdict = version.tags.get("verdict")
        gate = f", gate: {verdict}" if verdict else ""
        label = f"version {version.model}@{version.number}{aliases}{gate}"
        return Thing(kind="version", id=f"version:{version.model}/{version.number}", label=label)
    for one in deployments.list_deployments(ledger):
        if one.id == rest:
            until = "now" if one.end is None else iso(one.end)
            why = f": {one.reason}" if one.reason else ""
            label = f"endpoint '{one.endpoint}' from {iso(one.start)} to {until}{why}"
            return Thing(kind="deployment", id=id_, label=label)
    raise NotFound(f"there is no deployment '{rest}'", hint="see 'assay deployments list'")


def _bundle(ledger: Ledger, name: str) -> Thing | None:
    """Return a bundle by its id or the beginning of it, as far as the ledger knows it."""
    known = {
        version.bundle
        for model in models.list_models(ledger)
        for version in models.list_versions(ledger, model.name)
        if version.bundle is not None
    }
    exact = [name] if lineage.edges_to(ledger, f"bundle:{name}") else []
    found = sorted({*exact, *(oid for oid in known if oid.startswith(name))})
    return of(ledger, f"bundle:{found[0]}") if len(found) == 1 else None


def _version(ledger: Ledger, name: str) -> Thing | None:
    try:
        version = models.get_version(ledger, re.sub(r"@(?=v?\d+$)", "/", name))
    except Error:
        return None
    return of(ledger, f"version:{version.model}/{version.number}")


def _prediction(project: Project, name: str) -> Thing | None:
    from assay.traffic import find as traffic

    folder = project.traffic_dir
    found = traffic.find(folder, name) if folder.is_dir() else None
    if found is None:
        return None
    _, outputs = found.values()
    answer = ", ".join(f"{key}={value}" for key, value in outputs.items())
    record = found.record
    return Thing(
        kind="prediction",
        id=f"prediction:{name}",
        label=f"prediction {name} at {iso(record.at)}: {answer}",
        source=f"deployment:{record.deployment}"
        if record.deployment
        else f"version:{record.version}",
    )


def came_from(ledger: Ledger, thing: Thing) -> list[tuple[str, str]]:
    """Return what a thing came from: relation and name in the ledger."""
    if thing.kind == "prediction":
        return [("answered by", thing.source)] if thing.source else []
    edges = lineage.edges_to(ledger, thing.id)
    if any(edge.source.startswith("bundle:") for edge in edges):  # it leads on to the run
        edges = [edge for edge in edges if edge.source.startswith("bundle:")]
    return [(CAME_FROM[e.relation], e.source) for e in edges if e.relation in CAME_FROM]


def led_to(ledger: Ledger, id_: str) -> list[tuple[str, str]]:
    """Return what came of a thing: relation and name in the ledger."""
    edges = lineage.edges_from(ledger, id_)
    return [(LED_TO[e.relation], e.target) for e in edges if e.relation in LED_TO]
