"""What differs between two versions of a model, or of two models.

A bundle says what determined its training: parameters, data by content, packages, files. Of a
version that another tool registered, its run and its logged model say so. Where one side does not
know a thing at all, that is said in words, and not compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from assay.bundle import index as indexes
from assay.bundle.index import Index
from assay.deploy import registry
from assay.deploy.verdicts import VERDICT
from assay.ledger import environment as environments
from assay.ledger import listing, runs
from assay.ledger.environment import Environment, Software
from assay.ledger.listing import Told
from assay.ledger.models import Version
from assay.ledger.runs import Change, Run
from assay.workflows.model_tags import free_tags, metrics_of

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.objects.cache import Cache


class VersionDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two versions, each sorted by key; what is equal is left out.

    Attributes
    ----------
    environment : tuple of str
        In words: that of `b`, "recorded" that of `a`.
    unknown : tuple of str
        What was not compared, and why, in words.
    """

    a: str
    b: str
    facts: tuple[Change, ...]
    metrics: tuple[Change, ...]
    params: tuple[Change, ...]
    data: tuple[Change, ...]
    code: tuple[Change, ...]
    environment: tuple[str, ...]
    contents: tuple[Change, ...]  # files, by their hashes
    unknown: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether all is equal that was compared."""
        found = (self.facts, self.metrics, self.params, self.data, self.code, self.environment)
        return not any(found) and not self.contents


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a version; None of a part is 'nothing is known'."""

    facts: dict[str, Any]
    metrics: dict[str, Any] | None
    params: dict[str, Any] | None
    data: dict[str, str] | None
    code: dict[str, str] | None
    environment: Environment | None
    packages: Software | None
    contents: dict[str, str] | None


def diff(ledger: Ledger, objects: Cache, a: Version, b: Version) -> VersionDiff:
    """Return what differs between two versions.

    Parameters
    ----------
    objects : Cache
        Where the bundles lie.
    """
    first, second = (_known(ledger, objects, version) for version in (a, b))
    unknown: list[str] = []

    def changes(part: str) -> tuple[Change, ...]:
        sides = [getattr(first, part), getattr(second, part)]
        missing = [one.name for one, known in zip((a, b), sides, strict=True) if known is None]
        unknown.extend(f"{part} of {name}" for name in missing)
        return () if missing else runs.changes(*sides)

    return VersionDiff(
        a=a.name,
        b=b.name,
        facts=runs.changes(first.facts, second.facts),
        metrics=changes("metrics"),
        params=changes("params"),
        data=changes("data"),
        code=changes("code"),
        environment=_environment(first, second, unknown, names=(a.name, b.name)),
        contents=changes("contents"),
        unknown=tuple(dict.fromkeys(unknown)),
    )


def _environment(
    first: _Known, second: _Known, unknown: list[str], *, names: tuple[str, str]
) -> tuple[str, ...]:
    """Compare what the runs recorded, or else what the bundles need."""
    if first.environment and second.environment:
        return tuple(environments.differences(second.environment, first.environment))
    if first.packages and second.packages:
        return tuple(environments.software_differences(second.packages, first.packages))
    for name, side in zip(names, (first, second), strict=True):
        if side.environment is None and side.packages is None:
            unknown.append(f"environment of {name}")
    return ()


def _known(ledger: Ledger, objects: Cache, version: Version) -> _Known:
    run = None if version.run is None else runs.get(ledger, version.run, with_deleted=True)
    whole = run and registry.whole(ledger, run)  # a stage has the code of its pipeline
    index = None if version.bundle is None else _index(objects, version.bundle)
    logged = listing.told_by_logged_model(ledger, version.model_id)
    files = [] if version.bundle else listing.files_of_version(ledger, version)
    return _Known(
        facts=_facts(version),
        metrics=_metrics(version, run, logged),
        params=_params(index, run) if index else logged.params or (run.params if run else None),
        data=_data(index, run),
        code=runs.code_facts(whole.code) if whole and whole.code.commit else None,
        environment=(run.environment or whole.environment) if run and whole else None,
        packages=_packages(index) if index else None,
        contents={name: one.sha256 for name, one in index.files.items()}
        if index
        else ({one.path: one.oid for one in files} or None),
    )


def _params(index: Index, run: Run | None) -> dict[str, Any]:
    """Return what a bundle was told, and what the script logged that made it.

    A stage's parameters are in the bundle already.
    """
    return index.params if run is None or run.kind == "stage" else run.params | index.params


def _data(index: Index | None, run: Run | None) -> dict[str, str] | None:
    read = {one.path: one.oid for one in run.inputs} if run else None
    if index is None:
        return read
    return index.data if run is None or run.kind == "stage" else (read or {}) | index.data


def _index(objects: Cache, bundle: str) -> Index | None:
    """Return the index of a bundle; None where it is not in this clone."""
    oid = bundle.removeprefix("sha256:")
    if not objects.has(oid):
        return None
    return indexes.load(objects.read(oid), where=bundle)


def _packages(index: Index) -> Software:
    needed = index.environment
    return Software(
        python=needed.python,
        implementation="Python",
        packages=tuple(f"{name}=={version}" for name, version in needed.packages.items()),
        hash_seed=None,
    )


def _facts(version: Version) -> dict[str, Any]:
    known = {
        "bundle": version.bundle,
        "source": version.source,
        "run": version.run or version.foreign_run,
        "logged model": version.model_id,
        "description": version.description or None,
        "stage": None if version.stage == "None" else version.stage,
        "aliases": ", ".join(version.aliases) or None,
        "status": None if version.status == "ready" else version.status,
        "gate": version.tags.get(VERDICT),
    }
    tags = {f"tag {key}": value for key, value in free_tags(version).items()}
    return {key: value for key, value in known.items() if value is not None} | tags


def _metrics(version: Version, run: Run | None, logged: Told) -> dict[str, Any] | None:
    told = metrics_of(version)
    if told is not None:
        return told
    if run is None:
        return logged.metrics or None
    return {key: one.value for key, one in run.metrics.items()} | logged.metrics
