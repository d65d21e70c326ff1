"""Whose factors are looked at: what an endpoint answers with, and the run that it came from."""

from __future__ import annotations

from functools import cached_property

from assay.audit.factors import Check
from assay.base.errors import Error, NotFound, did_you_mean
from assay.bundle import contents
from assay.bundle.contents import Contents
from assay.deploy import endpoints
from assay.deploy.endpoints import Live
from assay.ledger import models, runs
from assay.ledger.database import Ledger
from assay.ledger.models import Version
from assay.ledger.runs import Run
from assay.pipeline import record
from assay.pipeline.record import Plan
from assay.project import declaration
from assay.project.workspace import Project


class Subject:
    """What is in production, each part looked up once.

    Attributes
    ----------
    endpoint : str or None
        The one that is named or declared, or the only one that something was deployed to.
    """

    def __init__(self, project: Project, ledger: Ledger, *, endpoint: str | None = None) -> None:
        self.project, self.ledger = project, ledger
        self.declared = declaration.read(project)
        self.endpoint = self._endpoint(endpoint)

    def _endpoint(self, given: str | None) -> str | None:
        known = endpoints.endpoints(self.ledger)
        declared = self.declared.deploy.endpoint if self.declared.deploy else None
        if given is not None and given not in {*known, declared}:
            raise NotFound(
                f"nothing was ever deployed to '{given}'",
                hint=did_you_mean(given, known) or "'assay deployments list' shows all endpoints",
            )
        return given or declared or (known[0] if len(known) == 1 else None)

    @cached_property
    def live(self) -> Live | None:
        """What the endpoint answers with now."""
        return None if self.endpoint is None else endpoints.live(self.ledger, self.endpoint)

    @cached_property
    def version(self) -> Version | None:
        """The version in production: what the endpoint answers with, else what the alias names."""
        model, deploy = self.declared.model, self.declared.deploy
        if self.live is not None:
            return models.get_version(self.ledger, self.live.name)
        if model is None:
            return None
        try:
            alias = deploy.alias if deploy else "production"
            return models.get_version(self.ledger, f"{model.name}@{alias}")
        except NotFound:
            return None

    @property
    def name(self) -> str:
        """The version as people write it: `bikes/3`."""
        return "" if self.version is None else f"{self.version.model}/{self.version.number}"

    @cached_property
    def contents(self) -> Contents:
        """The bundle of the version in production.

        Raises
        ------
        assay.Error
            If there is none, or it is not whole.
        """
        if self.version is None or self.version.bundle is None:
            raise NotFound("nothing with a bundle is in production")
        oid = self.version.bundle.removeprefix("sha256:")
        return contents.read_objects(self.project.objects, oid)

    @cached_property
    def run(self) -> Run | None:
        """The run that made the bundle in production: that of its stage, or of its script."""
        if self.version is None or self.version.run is None:
            return None
        try:
            return runs.get(self.ledger, self.version.run)
        except NotFound:
            return None

    @cached_property
    def whole(self) -> Run | None:
        """The run that this one is a part of; the same where it is a script's."""
        found = self.run
        while found is not None and found.parent is not None:
            found = runs.get(self.ledger, found.parent)
        return found

    @cached_property
    def plan(self) -> Plan:
        """The stages that the run in production went through; none for a script."""
        return plan_of(self.project, self.whole) if self.whole else Plan()

    def missing(self) -> Check | None:
        """Say that there is no recorded run in production; None where there is one."""
        if self.version is None:
            return Check(ok=None, text="nothing is in production", next_step=self.to_production)
        if self.whole is None:
            return Check(
                ok=False,
                text=f"{self.name} has no recorded run",
                next_step="assay repro --force && assay model register latest",
            )
        return None

    @property
    def to_production(self) -> str:
        """What brings the latest run into production."""
        model = self.declared.model.name if self.declared.model else "MODEL"
        register = "assay model register latest --alias candidate"
        return f"{register} && assay deploy {model}@candidate --to {self.endpoint or 'ENDPOINT'}"

    @property
    def prefix(self) -> str:
        """The project's folder in its repository, with a slash, or nothing."""
        inside = self.project.root.relative_to(self.project.git_root).as_posix()
        return "" if inside == "." else f"{inside}/"


def plan_of(project: Project, run: Run) -> Plan:
    """Return the plan that a run left; an empty one where it is gone."""
    for artifact in run.artifacts:
        if artifact.path == record.PLAN:
            return read_plan(project, artifact.oid)
    return Plan()


def read_plan(project: Project, oid: str) -> Plan:
    """Return a stored plan; an empty one where it cannot be read."""
    try:
        content = project.objects.read(oid.removeprefix("sha256:"))
        return record.load(content, where=oid)
    except Error:
        return Plan()


def short(id_: str) -> str:
    """Return the beginning of a run's id, a commit or an oid, as other commands take it.

    Examples
    --------
    >>> short("sha256:0123456789abcdef0123"), short("0190f0a1-7c3b-7d2e-8a41-0123456789ab")
    ('sha256:0123456789ab', '0190f0a1-7c3b')
    """
    head, colon, rest = id_.rpartition(":")
    return f"{head}{colon}{rest[:13] if '-' in rest else rest[:12]}"
