"""Move an endpoint to a version, and know that its servers answer with it; or stay as it was.

The bundle is opened and proved here before a row is written, so one that cannot start never
becomes a deployment. Then every live server has to say that it answers with the version. One
that fails, or is not ready in time, takes the endpoint back to what it answered with.
"""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, Usage
from assay.base.progress import counted, progress
from assay.deploy import endpoints, history, proofs, servers, verdicts
from assay.deploy.servers import Server
from assay.ledger import deployments, models
from assay.ledger.deployments import Deployment

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.models import Version
    from assay.objects.cache import Cache

ALIAS = "production"
TIMEOUT = 60.0
_POLL = 0.05
_BACK = 10.0
"""Seconds, at most, for servers that had switched to be back where the endpoint stays."""


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that goes to a version.

    Attributes
    ----------
    servers : tuple of Server
        Those that answer with it; empty where no server answers for the endpoint yet.
    before : str or None
        The version that it went to until now.
    alias : str or None
        The alias that names the version now.
    is_new : bool
        False where it went to the version already, so that nothing was written.
    """

    deployment: Deployment
    servers: tuple[Server, ...]
    before: str | None
    alias: str | None
    is_new: bool = True

    @property
    def version(self) -> str:
        """The version as people write it."""
        return history.name_of(self.deployment)


class NotReady(Error):
    """A server did not become ready with a version; the endpoint stays as it was."""


def deploy(
    ledger: Ledger,
    endpoint: str,
    *,
    version: str,
    objects: Cache,
    alias: str | None = ALIAS,
    reason: str | None = None,
    owner: str | None = None,
    details: Mapping[str, str] | None = None,
    force: bool = False,
    timeout: float = TIMEOUT,
) -> Deployed:
    """Let an endpoint answer with a version, and wait until all its live servers do.

    Where it goes to that version already, no deployment is written; the servers are waited for.

    Parameters
    ----------
    version : str
        `MODEL/3`, `MODEL@ALIAS` or `MODEL`.
    objects : Cache
        The store that has the files of its bundle.
    alias : str, optional
        What names the version once it answers; None leaves the aliases alone.
    owner : str, optional
        Who deploys it; the user of this process, where it is not given.
    details : mapping, optional
        What is kept with the deployment.
    force : bool
        Deploy a version that the gate refused; needs a reason.
    timeout : float
        Seconds in which the servers have to be ready.

    Raises
    ------
    Negative
        If the gate refused the version.
    NotReady
        If a server did not become ready with it; what was there goes on.
    assay.Error
        If its bundle is not whole or does not give its own answers, or if somebody else deployed
        meanwhile.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", endpoint) is None:
        raise Usage(
            f"{endpoint!r} cannot be the name of an endpoint",
            hint="use letters, digits, '.', '-' and '_'",
        )
    found = models.get_version(ledger, version)
    refused = verdicts.refused(found)
    if refused:
        verdicts.check_force(found, reason, force=force)
    if alias is not None:
        _check_alias(alias)
    present = endpoints.live(ledger, endpoint)
    made = history.find(ledger, endpoint, present.deployment) if present else None
    if made is not None and history.name_of(made) == _name_of(found):
        return _stay(ledger, made, alias=alias, timeout=timeout)
    return _switch(
        ledger,
        endpoint,
        found,
        objects=objects,
        alias=alias,
        reason=reason,
        owner=owner,
        details={**(details or {}), **({"forced": "the gate refused it"} if refused else {})},
        timeout=timeout,
    )


def rollback(
    ledger: Ledger,
    endpoint: str,
    *,
    objects: Cache,
    alias: str | None = ALIAS,
    reason: str | None = None,
    owner: str | None = None,
    timeout: float = TIMEOUT,
) -> Deployed:
    """Let an endpoint answer with what it answered with before the present deployment.

    Deployments that failed do not count, and a second rollback goes further back. The rest is as
    in `deploy`; the gate is not asked.
    """
    present, former = history.before(ledger, endpoint)
    return _switch(
        ledger,
        endpoint,
        models.get_version(ledger, history.name_of(former)),
        objects=objects,
        alias=alias,
        reason=reason or f"rollback from {history.name_of(present)}",
        owner=owner,
        details={history.AGAIN: former.id},
        timeout=timeout,
    )


def prove(version: Version, objects: Cache) -> None:
    """Open a version's bundle, and let it answer its golden examples.

    Raises
    ------
    assay.Error
        If it is not whole, not made for this environment, or answers otherwise.
    """
    from assay.bundle import contents, load

    name = _name_of(version)
    if version.bundle is None or version.status != "ready":
        what = "has no bundle" if version.bundle is None else f"is {version.status}"
        hint = "register a bundle: assay model register REF"
        if version.source is not None:
            hint = "another tool made it, whose own server serves it: MLflow's, from 'assay hub'"
        raise Error(f"{name} cannot be deployed: it {what}", hint=hint)
    try:
        load.open_contents(contents.read_objects(objects, version.bundle.removeprefix("sha256:")))
    except Error as error:
        raise Error(
            f"{name} cannot be deployed: {error.what}", where=error.where, hint=error.hint
        ) from error


def _switch(
    ledger: Ledger,
    endpoint: str,
    version: Version,
    *,
    objects: Cache,
    alias: str | None,
    reason: str | None,
    owner: str | None,
    details: Mapping[str, str],
    timeout: float,
) -> Deployed:
    if alias is not None:
        _check_alias(alias)
    prove(version, objects)
    made = deployments.add_deployment(
        ledger,
        endpoint,
        version=_name_of(version),
        reason=reason,
        owner=owner or _user(),
        details=details or None,
    )
    proofs.add(ledger, made.id, by=f"deploy:{made.id}", ok=True, at=now_ms())
    return go_on(ledger, made, alias=alias, timeout=timeout)


def go_on(
    ledger: Ledger, made: Deployment, *, alias: str | None = ALIAS, timeout: float = TIMEOUT
) -> Deployed:
    """Wait until all live servers of an endpoint answer with a deployment that was written.

    What `deploy` does after the row is there; a process that was killed in between is followed by
    one that calls this. The rest is as in `deploy`.
    """
    former = history.find_before(ledger, made)
    try:
        answering = _wait(ledger, made, timeout=timeout)
    except _Failed as failed:
        former_id = former.id if former else None
        raise _back(ledger, made, failed, former_id, timeout=timeout) from None
    moved = alias is not None and _move_alias(ledger, made, alias)
    return Deployed(
        deployment=made,
        servers=tuple(answering),
        before=history.name_of(former) if former else None,
        alias=alias if moved else None,
    )


def _stay(ledger: Ledger, made: Deployment, *, alias: str | None, timeout: float) -> Deployed:
    """Wait until all live servers answer with the deployment that goes on; write none."""
    name = history.name_of(made)
    try:
        answering = _wait(ledger, made, timeout=timeout)
    except _Failed as failed:
        raise NotReady(
            f"the server is not ready with {name}: {failed.problem}",
            where=failed.server.url,
            hint=f"'{made.endpoint}' went to it before, so nothing was changed; "
            f"'assay rollback {made.endpoint}' goes back",
        ) from None
    is_named = alias is not None and (
        models.get_model(ledger, made.model).aliases.get(alias) == made.version
        or _move_alias(ledger, made, alias)
    )
    return Deployed(
        deployment=made,
        servers=tuple(answering),
        before=name,
        alias=alias if is_named else None,
        is_new=False,
    )


class _Failed(Exception):
    """A server could not switch."""

    def __init__(self, problem: str, server: Server) -> None:
        super().__init__(problem)
        self.problem, self.server = problem, server


def _wait(ledger: Ledger, made: Deployment, *, timeout: float) -> list[Server]:
    """Return the servers that answer with a deployment, once that is all that live."""
    deadline = time.monotonic() + timeout
    with progress(f"waiting for '{made.endpoint}'", unit="servers") as bar:
        while True:
            goes_on = endpoints.live(ledger, made.endpoint)
            if goes_on is None or goes_on.deployment != made.id:
                raise _overtaken(made, goes_on.name if goes_on else None)
            found = _answering(ledger, made.endpoint)
            waiting = [server for server in found if not _is_ready(server, made)]
            for server in waiting:
                if server.state == "failed" and server.wanted == made.id:
                    raise _Failed(server.problem or "it does not say why", server)
            if not waiting:
                return found
            if time.monotonic() >= deadline:
                what = f"not ready after {timeout:g} s; it is '{waiting[0].state}'"
                raise _Failed(what, waiting[0])
            bar.total = len(found)
            bar.advance(len(found) - len(waiting) - bar.count)
            time.sleep(_POLL)


def _answering(ledger: Ledger, endpoint: str) -> list[Server]:
    """Return the servers that will answer requests; one that drains takes no more."""
    found = servers.alive(ledger, endpoint, at=now_ms())
    return [server for server in found if server.state != "draining"]


def _is_ready(server: Server, made: Deployment) -> bool:
    return server.state == "ready" and server.deployment == made.id


def _overtaken(made: Deployment, name: str | None) -> Error:
    became = f"it goes to {name}" if name else "nothing is deployed to it"
    return Error(
        f"somebody else deployed to '{made.endpoint}' meanwhile: {became} now, not to "
        f"{history.name_of(made)}",
        hint=f"see 'assay deployments list {made.endpoint}'",
    )


def _back(
    ledger: Ledger, made: Deployment, failed: _Failed, former: str | None, *, timeout: float
) -> NotReady:
    """Take an endpoint back to what the server that failed answers with; return what to say."""
    name, server = history.name_of(made), failed.server
    answers = server.deployment if server.deployment != made.id else None
    to = history.find(ledger, made.endpoint, answers) or history.find(
        ledger, made.endpoint, former
    )
    again = history.go_back(ledger, made, to=to, why=failed.problem, owner=made.owner)
    stays = f"'{made.endpoint}' has no version that answers"
    if again is not None:
        _settle(ledger, again, timeout=min(timeout, _BACK))
        stays = f"'{made.endpoint}' stays with {history.name_of(again)}"
    elif to is not None:
        stays = f"'{made.endpoint}' goes to what somebody else deployed meanwhile"
    return NotReady(
        f"the server did not become ready with {name}: {failed.problem}",
        where=server.url,
        hint=f"{stays}; see 'assay deployments list {made.endpoint}'",
    )


def _settle(ledger: Ledger, again: Deployment, *, timeout: float) -> None:
    """Wait a little until the servers that had switched are back."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        goes_on = endpoints.live(ledger, again.endpoint)
        if goes_on is None or goes_on.deployment != again.id:
            return
        if all(_is_ready(server, again) for server in _answering(ledger, again.endpoint)):
            return
        time.sleep(_POLL)


def _check_alias(alias: str) -> None:
    """Refuse, before anything is done, what `models.set_alias` would refuse."""
    if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"(?i)latest|v?\d+", alias):
        raise Usage(f"{alias!r} cannot be an alias", hint="use a name such as 'production'")


def _move_alias(ledger: Ledger, made: Deployment, alias: str) -> bool:
    """Let an alias name the version of a deployment, if that still goes on."""
    from assay.ledger import rows, tables

    table = tables.deployment
    goes_on = table.select().where(table.c.id == made.id, table.c.end.is_(None))
    row = {"model": made.model, "name": alias, "version": made.version, "at": now_ms()}
    with ledger.write() as connection:
        if connection.execute(goes_on).first() is None:
            return False
        rows.put(connection, tables.alias, [row])
    return True


def _name_of(version: Version) -> str:
    return f"{version.model}/{version.number}"


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return None


def sentence(done: Deployed) -> str:
    """Say in one line what was done."""
    endpoint, name = done.deployment.endpoint, done.version
    already = "" if done.is_new else " already, nothing was changed"
    if not done.servers:
        return f"'{endpoint}' goes to {name}{already}; no server answers for {endpoint} yet"
    on = counted(len(done.servers), "server")
    return f"'{endpoint}' answers with {name} on {on}{already}"
