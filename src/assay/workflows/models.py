"""What `assay model`, `deploy` and `rollback` do: a bundle becomes a version, a version answers.

A version is a bundle with its run, its metrics as they were when it was registered, and what the
gate said of it. Its tags hold the last three: `metrics` (JSON), `verdict` (pass, fail or
inconclusive), `gate` and `comparison` (oids in the object store).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, Usage
from assay.bundle import contents as folders
from assay.bundle import find
from assay.bundle.contents import Contents
from assay.bundle.index import plain
from assay.deploy import deploy as deploying
from assay.deploy import endpoints
from assay.deploy.deploy import ALIAS, VERDICT, Deployed
from assay.ledger import lineage, models, runs
from assay.ledger.models import Model, Version
from assay.ledger.runs import Run
from assay.pipeline import kept, record
from assay.project import declaration
from assay.project.holding import holding
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger

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


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A version with what its tags say, and where it answers.

    Attributes
    ----------
    metrics : dict
        As they were when it was registered.
    gate, comparison : str or None
        The oids of what the gate wrote.
    endpoints : tuple of str
        Where it is deployed now.
    """

    version: Version
    metrics: dict[str, Any]
    verdict: str | None
    gate: str | None
    comparison: str | None
    endpoints: tuple[str, ...]


def open_ledger(project: Project, *, create: bool = False) -> Ledger:
    """Open the ledger of a project, or in a stage that of its run."""
    from assay.ledger import database

    where = os.environ.get("ASSAY_LEDGER") or project.ledger_path
    return database.open_ledger(where, create=create)


def register(
    project: Project,
    ref: str,
    *,
    name: str | None = None,
    alias: str | None = None,
    description: str | None = None,
) -> Registered:
    """Make a bundle a version of a model; the same bundle again is the same version.

    Parameters
    ----------
    ref : str
        A bundle's folder, id or run.
    name : str, optional
        The model; by default that of the declaration, else the name in the bundle.

    Raises
    ------
    Usage
        If the model has no name.
    assay.Error
        If there is no such bundle, or it is not whole.
    """
    found = find.find(ref)
    declared = declaration.read(project).model
    model = name or (declared.name if declared else None) or found.index.name
    if model is None:
        raise Usage(
            "it is not said which model this is a version of",
            hint="give --name NAME, or write 'model: {name: NAME}' into assay.yaml",
        )
    folders.keep(found, project.objects)
    project.work_dir.mkdir(exist_ok=True)
    with open_ledger(project, create=True) as ledger:
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
                    tags=_tags(project, ledger, found, run),
                )
            else:
                made = there
                _update(ledger, there, description, _gate_tags(project, ledger, found, run))
        if alias is not None:
            models.set_alias(ledger, model, alias, version=made.number)
        n_kept = _keep_data(project, ledger, run) if run else 0
        version = models.get_version(ledger, f"{model}/{made.number}")
    return Registered(version=version, is_new=there is None, n_kept=n_kept)


def get(ledger: Ledger, ref: str) -> Version:
    """Return the version that `MODEL@3`, `MODEL/3`, `MODEL@ALIAS` or `MODEL` names."""
    return models.get_version(ledger, reference(ref))


def reference(ref: str) -> str:
    """Return a version's name as the ledger takes it.

    Examples
    --------
    >>> reference("bikes@3"), reference("bikes@v3"), reference("bikes@production")
    ('bikes/3', 'bikes/3', 'bikes@production')
    """
    match = re.fullmatch(r"(.+)@v?(\d{1,9})", ref)
    return f"{match[1]}/{match[2]}" if match else ref


def show(ledger: Ledger, version: Version) -> Shown:
    """Return a version with its metrics, verdict and endpoints."""
    from assay.ledger import deployments

    tags = version.tags
    here = deployments.list_deployments(ledger, live=True)
    return Shown(
        version=version,
        metrics=msgspec.json.decode(tags["metrics"]) if "metrics" in tags else {},
        verdict=tags.get(VERDICT),
        gate=tags.get("gate"),
        comparison=tags.get("comparison"),
        endpoints=tuple(
            sorted(
                one.endpoint
                for one in here
                if (one.model, one.version) == (version.model, version.number)
            )
        ),
    )


def show_model(ledger: Ledger, name: str) -> tuple[Model, list[Shown]]:
    """Return a model with its versions, newest first."""
    model = models.get_model(ledger, name)
    return model, [show(ledger, one) for one in models.list_versions(ledger, name)]


def set_alias(ledger: Ledger, model: str, alias: str, *, version: str) -> Version:
    """Let an alias name a version, given as `3`, `v3`, `MODEL@3` or another alias of it."""
    ref = version if re.search(r"[/@]", version) else f"{model}@{version}"
    found = get(ledger, ref)
    if found.model != model:
        raise Usage(
            f"'{version}' is a version of '{found.model}', not of '{model}'",
            hint="name a version of the same model",
        )
    models.set_alias(ledger, model, alias, version=found.number)
    return get(ledger, f"{model}/{found.number}")


def note_verdict(ledger: Ledger, version: Version | str, verdict: str, oid: str) -> None:
    """Record what the gate said of a version, and the oid of the comparison behind it.

    Parameters
    ----------
    version : Version or str
        The candidate, or its name: `MODEL/3`, `MODEL@3`, `MODEL@ALIAS`.
    verdict : str
        "pass", "fail" or "inconclusive".
    """
    if verdict not in ANSWERS:
        raise Error(f"the verdict is {verdict!r}; expected is one of {', '.join(ANSWERS)}")
    found = version if isinstance(version, Version) else get(ledger, version)
    _update(ledger, found, None, {VERDICT: verdict, "comparison": oid})


def deploy(
    project: Project,
    ref: str,
    *,
    to: str | None = None,
    reason: str | None = None,
    force: bool = False,
    timeout: float = deploying.TIMEOUT,
) -> Deployed:
    """Let an endpoint answer with a version; `to` is by default the declared endpoint."""
    endpoint, alias = target(project, to)
    with open_ledger(project) as ledger:
        return deploying.deploy(
            ledger,
            endpoint,
            version=reference(ref),
            objects=project.objects,
            alias=alias,
            reason=reason,
            force=force,
            timeout=timeout,
        )


def rollback(
    project: Project,
    endpoint: str | None = None,
    *,
    reason: str | None = None,
    timeout: float = deploying.TIMEOUT,
) -> Deployed:
    """Let an endpoint answer with what it answered with before."""
    name, alias = target(project, endpoint)
    with open_ledger(project) as ledger:
        return deploying.rollback(
            ledger, name, objects=project.objects, alias=alias, reason=reason, timeout=timeout
        )


def target(project: Project, endpoint: str | None) -> tuple[str, str | None]:
    """Return the endpoint that is meant, and the alias that names what it answers with.

    The alias belongs to the endpoint that the declaration names: another one, such as `staging`
    beside it, moves none.
    """
    declared = declaration.read(project).deploy
    if endpoint is None:
        if declared is None:
            raise Usage(
                "it is not said which endpoint is meant",
                hint="name it, or write 'deploy: {endpoint: NAME}' into assay.yaml",
            )
        return declared.endpoint, declared.alias
    if declared is None:
        return endpoint, ALIAS
    return endpoint, declared.alias if endpoint == declared.endpoint else None


def deployed_endpoints(project: Project) -> list[str]:
    """Return the endpoints that something was ever deployed to."""
    with open_ledger(project) as ledger:
        return endpoints.endpoints(ledger)


def _same(ledger: Ledger, model: str, bundle: str) -> Version | None:
    """Return the oldest version of a model that is this bundle."""
    try:
        versions = models.list_versions(ledger, model)
    except NotFound:
        return None
    return next((one for one in reversed(versions) if one.bundle == bundle), None)


def _run(ledger: Ledger, ref: str, found: Contents) -> Run | None:
    """Return the run that made a bundle: of those in the run that `ref` names, else the newest."""
    makers = [
        edge.source.removeprefix("run:")
        for edge in lineage.edges_to(ledger, f"bundle:{found.id}")
        if edge.relation == "made"
    ]
    all_of_them = [runs.get(ledger, maker) for maker in reversed(makers)]
    if not Path(ref).is_dir() and not ref.startswith("sha256:"):
        try:
            named = runs.get(ledger, ref)
        except Error:
            named = None
        for one in all_of_them:
            if named is not None and one.id in {named.id, *named.children}:
                return one
    originals = (one for one in all_of_them if _whole(ledger, one).kind != "reproduction")
    return next(originals, None)


def _get_run(ledger: Ledger, run: str | None) -> Run | None:
    return None if run is None else runs.get(ledger, run)


def _whole(ledger: Ledger, run: Run) -> Run:
    """Return the run of the whole pipeline that a stage's run is a part of."""
    while run.parent is not None:
        run = runs.get(ledger, run.parent)
    return run


def _tags(project: Project, ledger: Ledger, found: Contents, run: Run | None) -> dict[str, str]:
    """Return what a version says of its metrics and its gate."""
    metrics: dict[str, Any] = {}
    if run is not None:
        whole = _whole(ledger, run)
        for part in (*(runs.get(ledger, child) for child in whole.children), whole, run):
            metrics |= {key: plain(metric.value) for key, metric in part.metrics.items()}
    tags = _gate_tags(project, ledger, found, run)
    if metrics:
        tags["metrics"] = msgspec.json.encode(metrics, order="sorted").decode()
    return tags


def _gate_tags(
    project: Project, ledger: Ledger, found: Contents, run: Run | None
) -> dict[str, str]:
    """Return the newest word of the gate on a bundle, where the ledger has one."""
    from assay.ledger.tables import artifact, tag

    came = [edge.target for edge in lineage.edges_from(ledger, f"bundle:{found.id}")]
    owners = {thing.removeprefix("run:") for thing in came if thing.startswith("run:")}
    its_runs = tag.select().where(tag.c.key == "bundle", tag.c.value == found.id)
    with ledger.read() as connection:
        owners |= {row.run_id for row in connection.execute(its_runs)} | {run.id if run else ""}
        query = artifact.select().where(artifact.c.path == GATE, artifact.c.run_id.in_(owners))
        row = connection.execute(query.order_by(artifact.c.at.desc())).first()
    if row is None:
        return {}
    verdict = _answer(project.objects.read(row.oid.removeprefix("sha256:")))
    return {"gate": row.oid} | ({VERDICT: verdict} if verdict else {})


def _answer(content: bytes) -> str | None:
    """Return the gate's answer from what it wrote."""
    try:
        document: Any = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        return None
    while isinstance(document, Mapping):
        document = document.get("answer", document.get("verdict"))
    return document if document in ANSWERS else None


def _update(
    ledger: Ledger, version: Version, description: str | None, tags: Mapping[str, str]
) -> None:
    """Change what a version says of itself; what is not given stays."""
    from assay.ledger import rows, tables

    owner = {"model": version.model, "version": version.number}
    changed: dict[str, Any] = {"updated": now_ms()}
    if description is not None:
        changed["description"] = description
    elif tags.items() <= version.tags.items():
        return
    table = tables.version
    one = (table.c.model == version.model, table.c.number == version.number)
    with ledger.write() as connection:
        rows.put_tags(connection, tables.version_tag, owner, tags)
        connection.execute(table.update().where(*one).values(changed))


def _keep_data(project: Project, ledger: Ledger, run: Run) -> int:
    """Let data and outputs of a run survive `dvc gc`; return how many versions are safe."""
    whole = _whole(ledger, run)
    found = [_md5s(one) for one in (whole, run)]
    for artifact in whole.artifacts:
        if artifact.path == record.PLAN:
            content = project.objects.read(artifact.oid.removeprefix("sha256:"))
            plan = record.load(content, where=artifact.oid)
            found.append(kept.oids_of(plan))
            found.append(kept.tracked_inside(project, plan, commit=whole.code.commit))
    return kept.keep(project, dict.fromkeys(oid for oids in found for oid in oids))


def _md5s(run: Run) -> Iterable[str]:
    recorded = (item.oid for item in (*run.inputs, *run.outputs))
    return (oid.removeprefix("md5:") for oid in recorded if re.match("md5:[0-9a-f]{32}", oid))
