"""Bundles, versions, deployments and predictions, alerts and decisions as things.

The way from an answer to its run, and to why it is this version that answers. The edges between
them are in the ledger; only a prediction lies elsewhere, in the traffic.
"""

from __future__ import annotations

import re

import msgspec

from assay.base.clock import iso
from assay.base.errors import NotFound
from assay.ledger import lineage, models
from assay.ledger.database import Ledger
from assay.ledger.lineage import Edge
from assay.ledger.model_names import meanings
from assay.project.workspace import Project
from assay.trace import decided, reading
from assay.trace.things import Thing

KINDS = frozenset(
    {"bundle", "logged_model", "version", "deployment", "prediction", "alert", "decision"}
)
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
    "read_by": "read by",
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
    Error
        If it means one version by its number, and another one by an alias.
    """
    kind, _, rest = name.partition(":")
    if kind in KINDS - {"prediction"}:
        return of(ledger, f"{kind}:{rest}")
    if name.startswith("sha256:"):
        return _bundle(ledger, name)
    if re.fullmatch(r"(models:/)?m-[0-9a-f]{4,32}", name):
        return _logged_model(ledger, name.removeprefix("models:/"))
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
    from assay.trace import labels

    kind, _, rest = id_.partition(":")
    if kind in {"alert", "decision"}:
        return decided.of(ledger, id_)
    if kind == "version":
        version = models.get_version(ledger, rest)
        id_ = f"version:{version.model}/{version.number}"
    found = labels.load(ledger, [id_]).get(id_)
    if found is None:
        raise missing(id_)
    return found


def missing(id_: str) -> NotFound:
    """Return the error that says that the ledger does not have a thing."""
    kind, _, rest = id_.partition(":")
    hint = "see 'assay deployments list'" if kind == "deployment" else None
    return NotFound(f"there is no {kind.replace('_', ' ')} '{rest}'", hint=hint)


def _bundle(ledger: Ledger, name: str) -> Thing | None:
    """Return a bundle by its id or the beginning of it, as far as the ledger knows it."""
    exact = [name] if lineage.edges_to(ledger, f"bundle:{name}") else []
    found = sorted({*exact, *reading.bundles(ledger, name)})
    return of(ledger, f"bundle:{found[0]}") if len(found) == 1 else None


def _logged_model(ledger: Ledger, name: str) -> Thing | None:
    """Return the model that was logged, by its id or the only beginning of it."""
    found = reading.logged_models(ledger, name)
    return of(ledger, f"logged_model:{found[0]}") if len(found) == 1 else None


def _version(ledger: Ledger, name: str) -> Thing | None:
    if not meanings(name):
        return None
    try:
        version = models.get_version(ledger, name)
    except NotFound:
        return None
    return of(ledger, f"version:{version.model}/{version.number}")


def check_version(ledger: Ledger, name: str) -> None:
    """Raise `NotFound` where a name is that of a model with a version that it does not have."""
    known = {model.name for model in models.list_models(ledger)}
    if re.fullmatch(r"[^/:@]+(/v?\d{1,9}|@[\w-]+)", name) and re.split("[/@]", name)[0] in known:
        models.get_version(ledger, name)


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


def came_from(thing: Thing, edges: list[Edge]) -> list[tuple[str, str]]:
    """Return what a thing came from: relation and name in the ledger; decisions first, runs last.

    Parameters
    ----------
    edges : list of Edge
        Those to it.
    """
    if thing.kind == "prediction":
        return [("answered by", thing.source)] if thing.source else []
    found = [(_came_from(e), e.source) for e in edges if e.relation in CAME_FROM]
    return sorted(found, key=_place)


def _place(found: tuple[str, str]) -> int:
    """Return where a source stands: decisions first, and a run after what may lead on to it."""
    how, source = found
    if how == DECIDED:
        return 0
    return 2 if source.startswith("run:") else 1


def _came_from(edge: Edge) -> str:
    is_decision = edge.source.startswith("decision:") and edge.relation == "deployed_as"
    return DECIDED if is_decision else CAME_FROM[edge.relation]


def sources(edges: list[Edge], relation: str) -> list[str]:
    """Return what some edges of a relation come from."""
    return [edge.source for edge in edges if edge.relation == relation]


def led_to(edges: list[Edge]) -> list[tuple[str, str]]:
    """Return what edges lead to: relation and name in the ledger, in the order of `LED_TO`."""
    found = [edge for edge in edges if edge.relation in LED_TO]
    found.sort(key=lambda edge: [*LED_TO].index(edge.relation))
    return [(LED_TO[edge.relation], edge.target) for edge in found]
