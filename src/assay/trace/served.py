"""Bundles, versions, deployments and predictions, alerts and decisions as things.

The way from an answer to its run, and to why it is this version that answers. The edges between
them are in the ledger; only a prediction lies elsewhere, in the traffic.
"""

from __future__ import annotations

import re

import msgspec

from assay.base.clock import iso
from assay.base.errors import Error, NotFound
from assay.ledger import deployments, lineage, models
from assay.ledger.database import Ledger
from assay.project.workspace import Project
from assay.trace import decided
from assay.trace.things import Thing

KINDS = frozenset({"bundle", "version", "deployment", "prediction", "alert", "decision"})
CAME_FROM = {
    "registered_as": "registered from",
    "deployed_as": "answered with",
    "made": "made by",
    "raised": "raised by",
    "triggered": "triggered by",
    "judged": "judged by",
}
LED_TO = {
    "made": "made",
    "registered_as": "registered as",
    "raised": "raised",
    "triggered": "triggered",
    "started": "started",
    "reused": "reused",
    "judged": "judged",
    "deployed_as": "deployed as",
}
"""How an edge of the ledger reads upwards and downwards; what is done last comes last."""

DECIDED = "decided by"
"""How an edge from a decision to a deployment reads upwards."""

NO_PREDICTION = "give the text of the header 'Assay-Prediction-Id'; the log is that of this clone"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}(/\d+)?")


def find(project: Project, ledger: Ledger, name: str) -> Thing | None:
    """Return what a name means: any of `KINDS`, or None where it means none of them.

    Raises
    ------
    NotFound
        If it can only be a row of a prediction that has none.
    """
    kind, _, rest = name.partition(":")
    if kind in KINDS - {"prediction"}:
        return of(ledger, f"{kind}:{rest}")
    if name.startswith("sha256:"):
        return _bundle(ledger, name)
    if "@" in name or "/" in name:
        version = _version(ledger, name)
        if version is not None:
            return version
    return _prediction(project, name) if is_id(name) else None


def is_id(name: str) -> bool:
    """Tell whether a name has the form of the ids of predictions, runs, alerts and decisions."""
    return _UUID.fullmatch(name) is not None


def of(ledger: Ledger, id_: str) -> Thing:
    """Return a thing by its name in the ledger: `version:bikes/3`, say."""
    kind, _, rest = id_.partition(":")
    if kind in {"alert", "decision"}:
        return decided.of(ledger, id_)
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
            what = f"endpoint '{one.endpoint}' with {one.model}@{one.version}"
            label = f"{what} from {iso(one.start)} to {until}{why}"
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
        version = models.get_version(ledger, _reference(name))
    except Error:
        return None
    return of(ledger, f"version:{version.model}/{version.number}")


def check_version(ledger: Ledger, name: str) -> None:
    """Raise `NotFound` where a name is that of a model with a version that it does not have."""
    ref = _reference(name)
    known = {model.name for model in models.list_models(ledger)}
    if re.fullmatch(r"[^/:@]+(/\d{1,9}|@[\w-]+)", ref) and re.split("[/@]", ref)[0] in known:
        models.get_version(ledger, ref)


def _reference(name: str) -> str:
    return re.sub(r"@v?(?=\d{1,9}$)", "/", name)


def newest(ledger: Ledger, name: str) -> Thing | None:
    """Return the newest version of a model; None where there is no model of that name."""
    found = next((model for model in models.list_models(ledger) if model.name == name), None)
    if found is None or found.newest is None:
        return None
    return of(ledger, f"version:{name}/{found.newest}")


def _prediction(project: Project, name: str) -> Thing | None:
    from assay.trace import truth
    from assay.traffic import find as traffic

    folder = project.traffic_dir
    id_, _, row = name.partition("/")
    whole = traffic.find(folder, id_) if folder.is_dir() else None
    found = whole and traffic.find(folder, name)
    if not found:
        if not row:
            return None
        hint = traffic.rows_in_words(id_, whole.record.n_rows) if whole else NO_PREDICTION
        raise NotFound(f"there is no prediction '{name}'", hint=hint)
    _, outputs = found.values()
    answer = ", ".join(f"{key}={value}" for key, value in outputs.items())
    record, known = found.record, truth.find(folder, found)
    return Thing(
        kind="prediction",
        id=f"prediction:{name}",
        label=f"prediction {name} at {iso(record.at)}: {answer}; {truth.words(found, known)}",
        source=f"deployment:{record.deployment}"
        if record.deployment
        else f"version:{record.version}",
        truth=None if known is None else msgspec.structs.asdict(known),
    )


def came_from(ledger: Ledger, thing: Thing) -> list[tuple[str, str]]:
    """Return what a thing came from: relation and name in the ledger, decisions first."""
    if thing.kind == "prediction":
        return [("answered by", thing.source)] if thing.source else []
    edges = lineage.edges_to(ledger, thing.id)
    if any(edge.source.startswith("bundle:") for edge in edges):  # it leads on to the run
        edges = [edge for edge in edges if edge.source.startswith("bundle:")]
    found = [(_came_from(e), e.source) for e in edges if e.relation in CAME_FROM]
    return sorted(found, key=lambda one: one[0] != DECIDED)


def _came_from(edge: lineage.Edge) -> str:
    is_decision = edge.source.startswith("decision:") and edge.relation == "deployed_as"
    return DECIDED if is_decision else CAME_FROM[edge.relation]


def decisions_to_deploy(ledger: Ledger, version: Thing) -> list[str]:
    """Return the decisions by which a version was deployed, by their names in the ledger."""
    deployed = [target for how, target in led_to(ledger, version.id) if how == "deployed as"]
    return [
        source
        for one in deployed
        for source in _sources(ledger, one, "deployed_as")
        if source.startswith("decision:")
    ]


def decisions_to_run(ledger: Ledger, run: str, relation: str) -> list[str]:
    """Return the decisions that `started` a run, or `reused` it, by their names in the ledger."""
    return _sources(ledger, f"run:{run}", relation)


def _sources(ledger: Ledger, id_: str, relation: str) -> list[str]:
    return [e.source for e in lineage.edges_to(ledger, id_) if e.relation == relation]


def led_to(ledger: Ledger, id_: str) -> list[tuple[str, str]]:
    """Return what came of a thing: relation and name in the ledger, in the order of `LED_TO`."""
    edges = [e for e in lineage.edges_from(ledger, id_) if e.relation in LED_TO]
    edges.sort(key=lambda edge: [*LED_TO].index(edge.relation))
    return [(LED_TO[e.relation], e.target) for e in edges]
