"""The registry: a bundle becomes a version of a model, with its run, its metrics and its verdict.

A version's tags hold what is known of it: `metrics` (JSON, as they were when it was registered),
`verdict` (pass, fail or inconclusive), `gate` and `comparison` (oids in the object store).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.bundle import addresses
from assay.bundle import contents as folders
from assay.bundle.contents import Contents
from assay.bundle.index import plain
from assay.deploy.verdicts import VERDICT
from assay.ledger import lineage, listing, model_names, models, process, runs
from assay.ledger.models import Version
from assay.ledger.runs import Run
from assay.ledger.sdk import places
from assay.ledger.system import SYSTEM
from assay.pipeline import kept, record
from assay.project import declaration
from assay.project.holding import holding
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.sdk.places import Place

GATE = "assay/gate.json"
"""The artifact of a run that says how the gate judged its bundle."""
ANSWERS = ("pass", "fail", "inconclusive")


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle under a registered name.

    Attributes
    ----------
    is_new : bool
        False where the bundle was a version of the model already.
    n_kept : int
        Versions of data and outputs of its run that `dvc gc` cannot delete any more.
    """

    version: Version
    is_new: bool
    n_kept: int


def register(
    project: Project,
    ref: str,
    *,
    name: str | None = None,
    alias: str | None = None,
    description: str | None = None,
    place: Place | None = None,
) -> Registered:
    """Make a bundle a version of a model; the same bundle again is the same version.

    Parameters
    ----------
    ref : str
        A bundle's folder, id, run or address.
    place : Place, optional
        Whose model it is: by default that of the project's own ledger.
    name : str, optional
        The model; by default that of the declaration, else the name in the bundle.

    Raises
    ------
    Usage
        If the model has no name.
    assay.Error
        If there is no such bundle, or it is not whole.
    """
    found = _bundle(project, ref, place)
    declared = declaration.read(project).model
    model = name or (declared.name if declared else None) or found.index.name
    if model is None:
        raise Usage(
            "it is not said which model this is a version of",
            hint="give --name NAME, or write 'model: {name: NAME}' into assay.yaml",
        )
    if alias is not None:
        model_names.check_alias(alias)
    folders.keep(found, project.objects)
    project.work_dir.mkdir(exist_ok=True)
    place = place or places.own(project)
    if place.is_hub:
        _send(place, found)
    with place.open(create=True) as ledger:
        with holding(project.work_dir / "register.lock"):
            there = _same(ledger, model, found.id)
            run = _run(ledger, ref, found) if there is None else _get_run(ledger, there.run)
            if there is None:
                made = models.register(
                    ledger,
                    model,
                    bundle=found.id,
                    run=run.id if run else None,
                    description=description,
                    tags=_tags(place, ledger, found, run),
                    owner=process.user(),
                )
            else:
                made = there
                models.describe_version(
                    ledger,
                    there,
                    description=description,
                    tags=_gate_tags(place, ledger, found, run),
                )
        if alias is not None:
            models.set_alias(ledger, model, alias, version=made.number)
        n_kept = _keep_data(project, place, ledger, run) if run else 0
        version = models.get_version(ledger, f"{model}/{made.number}")
    return Registered(version=version, is_new=there is None, n_kept=n_kept)


def _bundle(project: Project, ref: str, place: Place | None) -> Contents:
    found = addresses.find(ref, project=None if place is not None and place.is_hub else project)
    if isinstance(found, Path):
        raise Error("this is a file that a run keeps, no bundle", where=ref)
    return found


def _send(place: Place, found: Contents) -> None:
    """Send the files of a bundle to the hub."""
    from assay.ledger.hub import HubSink

    sink = HubSink(place.where, objects=place.objects, token=place.token)
    try:
        for oid in (*(file.sha256 for file in found.index.files.values()), found.id[7:]):
            sink.upload(oid)
    finally:
        sink.rest()


def _same(ledger: Ledger, model: str, bundle: str) -> Version | None:
    """Return the oldest version of a model that is this bundle."""
    try:
        versions = models.list_versions(ledger, model)
    except NotFound:
        return None
    return next((one for one in reversed(versions) if one.bundle == bundle), None)


def made_by(ledger: Ledger, bundle: str) -> Run | None:
    """Return the newest run that made a bundle; one that only did another again does not count."""
    made = [run for run in _makers(ledger, bundle) if whole(ledger, run).kind != "reproduction"]
    return made[0] if made else None


def whole(ledger: Ledger, run: Run) -> Run:
    """Return the run of the whole pipeline that a stage's run is a part of."""
    while run.parent is not None:
        run = runs.get(ledger, run.parent, with_deleted=True)
    return run


def _makers(ledger: Ledger, bundle: str) -> list[Run]:
    """Return the runs that made a bundle, the newest first."""
    edges = lineage.edges_to(ledger, f"bundle:{bundle}")
    makers = [edge.source for edge in edges if edge.relation == "made"]
    return [runs.get(ledger, maker.removeprefix("run:")) for maker in reversed(makers)]


def _run(ledger: Ledger, ref: str, found: Contents) -> Run | None:
    """Return the run that made a bundle: of those in the run that `ref` names, else the newest."""
    if not Path(ref).is_dir() and not ref.startswith("sha256:"):
        try:
            named = runs.get(ledger, ref)
        except Error:
            named = None
        for one in _makers(ledger, found.id):
            if named is not None and one.id in {named.id, *named.children}:
                return one
    return made_by(ledger, found.id)


def _get_run(ledger: Ledger, run: str | None) -> Run | None:
    return None if run is None else runs.get(ledger, run, with_deleted=True)


def _tags(place: Place, ledger: Ledger, found: Contents, run: Run | None) -> dict[str, str]:
    """Return what a version says of its metrics and its gate."""
    metrics: dict[str, Any] = {}
    if run is not None:
        pipeline = whole(ledger, run)
        for part in (*(runs.get(ledger, child) for child in pipeline.children), pipeline, run):
            metrics |= {
                key: plain(metric.value)
                for key, metric in part.metrics.items()
                if not key.startswith(SYSTEM)
            }
    tags = _gate_tags(place, ledger, found, run)
    if metrics:
        tags["metrics"] = msgspec.json.encode(metrics, order="sorted").decode()
    return tags


def _gate_tags(place: Place, ledger: Ledger, found: Contents, run: Run | None) -> dict[str, str]:
    """Return the newest word of the gate on a bundle, where the ledger has one."""
    came = [edge.target for edge in lineage.edges_from(ledger, f"bundle:{found.id}")]
    owners = {thing.removeprefix("run:") for thing in came if thing.startswith("run:")}
    owners |= {run.id if run else ""}
    oid = listing.newest_artifact(ledger, GATE, runs=sorted(owners), bundle=found.id)
    if oid is None:
        return {}
    verdict = _answer(place.read(oid.removeprefix("sha256:")))
    return {"gate": oid} | ({VERDICT: verdict} if verdict else {})


def _answer(content: bytes) -> str | None:
    """Return the gate's answer from what it wrote."""
    try:
        document: Any = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        return None
    while isinstance(document, Mapping):
        document = document.get("answer", document.get("verdict"))
    return document if document in ANSWERS else None


def _keep_data(project: Project, place: Place, ledger: Ledger, run: Run) -> int:
    """Let data and outputs of a run survive `dvc gc`; return how many versions are safe."""
    return kept.keep(project, data_of(project, ledger, run, place=place))


def data_of(
    project: Project, ledger: Ledger, run: Run, *, place: Place | None = None
) -> list[str]:
    """Return the MD5s of what a run read and made, and the pipeline that it is a part of."""
    place = place or places.own(project)
    pipeline = whole(ledger, run)
    found = [_md5s(one) for one in (pipeline, run)]
    for artifact in pipeline.artifacts:
        if artifact.path == record.PLAN:
            content = place.read(artifact.oid.removeprefix("sha256:"))
            plan = record.load(content, where=artifact.oid)
            found.append(kept.oids_of(plan))
            found.append(kept.tracked_inside(project, plan, commit=pipeline.code.commit))
    return [*dict.fromkeys(oid for oids in found for oid in oids)]


def _md5s(run: Run) -> Iterable[str]:
    recorded = (item.oid for item in (*run.inputs, *run.outputs))
    return (
        oid.removeprefix("md5:")
        for oid in recorded
        if re.match("md5(-dos2unix)?:[0-9a-f]{32}", oid)
    )
