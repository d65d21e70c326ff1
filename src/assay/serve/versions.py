"""Which version answers now: a thread follows the deployments, loads, proves and switches.

`Versions.now` is one attribute, set when a bundle has reproduced its golden examples: requests
that come later answer with it, those in flight end with the version they began with. What cannot
be loaded changes nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound
from assay.deploy import proofs, servers
from assay.deploy.endpoints import Live, live
from assay.serve.limits import Refused, sentence

if TYPE_CHECKING:
    from assay.bundle.load import Bundle
    from assay.deploy.servers import State
    from assay.ledger.database import Ledger

POLL_SECONDS, BEAT_SECONDS, RETRY_SECONDS = 0.2, 1.0, 10.0

Load = Callable[[str], "Bundle"]
"""Open the bundle of an id, proved."""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A version that answers."""

    live: Live
    bundle: Bundle

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.live.model

    @property
    def version(self) -> str:
        """Its number, as protocols write it."""
        return str(self.live.version)


class Versions:
    """Follows the deployments of an endpoint until it is stopped.

    Attributes
    ----------
    now : Served or None
        What answers; None until the first version is ready.
    state : str
        "starting", "ready", "loading", "failed" or "draining".
    problem : str or None
        Why the wanted version does not answer.
    n_switches, n_failures : int
        Versions that came, and attempts that failed.
    ledger_problem : str or None
        Why the ledger could not be asked the last time; what answers goes on.
    """

    def __init__(
        self,
        ledger: Ledger,
        endpoint: str,
        *,
        url: str,
        load: Load,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.endpoint = endpoint
        self.now: Served | None = None
        self.state: State = "starting"
        self.problem: str | None = None
        self.ledger_problem: str | None = None
        self.n_switches = self.n_failures = 0
        self._ledger, self._url, self._load, self._say = ledger, url, load, say
        self._server = servers.enter(ledger, endpoint, url=url, at=now_ms())
        self._wanted: str | None = None
        self._retry_at = 0.0
        self._stop = threading.Event()
        self._reporting = threading.Lock()  # what a beat says belongs together
        self._threads = [
            threading.Thread(target=self._run, args=(turn, seconds), name=name, daemon=True)
            for turn, seconds, name in (
                (self._follow, POLL_SECONDS, "assay-versions"),
                (self._beat, BEAT_SECONDS, "assay-beat"),  # also while a large model is loaded
            )
        ]

    def start(self) -> None:
        """Begin to follow."""
        for thread in self._threads:
            thread.start()

    def drain(self) -> None:
        """Say that this server ends: it is not ready for anything new."""
        self.state = "draining"

    def stop(self) -> None:
        """End, and take the server's row away."""
        self.state = "draining"
        self._stop.set()
        for thread in self._threads:
            thread.join(5)
        with contextlib.suppress(Error):
            servers.leave(self._ledger, self._server)

    def ready(self) -> Served:
        """Return what answers.

        Raises
        ------
        Refused
            If nothing does yet, with the reason.
        """
        if self.now is None:
            why = self.problem or (
                f"it loads {self._wanted}" if self._wanted else
                f"nothing is deployed to '{self.endpoint}'"
            )  # fmt: skip
            raise Refused(503, f"no version is ready: {why}")
        return self.now

    def _run(self, turn: Callable[[], None], seconds: float) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                turn()
                self.ledger_problem = None
            except Exception as error:  # noqa: BLE001 -- the ledger is away; what answers goes on
                self.ledger_problem = str(error) or type(error).__name__
            self._stop.wait(max(0.01, began + seconds - time.monotonic()))

    def _follow(self) -> None:
        found = live(self._ledger, self.endpoint)
        if found is None or (self.now and self.now.live.deployment == found.deployment):
            if self._wanted is not None:  # what was wanted goes on no longer
                self._report("ready" if self.now else "starting", wanted=None)
            return
        if found.deployment == self._wanted and time.monotonic() < self._retry_at:
            return
        self._switch(found)

    def _switch(self, found: Live) -> None:
        """Load what is wanted; only when it is proved does it answer."""
        if found.deployment != self._wanted:
            self._report("loading", wanted=found.deployment)
        try:
            bundle = self._bundle(found)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the old version goes on
            self.n_failures += 1
            self._retry_at = time.monotonic() + RETRY_SECONDS
            text = sentence(error) if isinstance(error, Error) else repr(error)
            if self.problem != text:
                self._say(f"{found.name} is not ready: {text}")
            self._keep_proof(found, ok=False)
            self._report("failed", wanted=found.deployment, problem=text)
            return
        self.now = Served(live=found, bundle=bundle)
        self.n_switches += 1
        self._keep_proof(found, ok=True)
        self._report("ready", wanted=None)
        self._say(f"{found.name} answers")

    def _keep_proof(self, found: Live, *, ok: bool) -> None:
        """Let the ledger say, also when this server is gone, whether the bundle was proved."""
        with contextlib.suppress(Error):
            by = f"server:{self._server}"
            proofs.add(self._ledger, found.deployment, by=by, ok=ok, at=now_ms())

    def _bundle(self, found: Live) -> Bundle:
        """Return the bundle that answers already, or the one that is now opened."""
        if self.now is not None and self.now.live.bundle == found.bundle:
            return self.now.bundle
        bundle = self._load(found.bundle)
        if bundle.id != found.bundle:
            raise Error(f"the bundle has the id {bundle.id}, expected {found.bundle}")
        return bundle

    def _report(self, state: State, *, wanted: str | None, problem: str | None = None) -> None:
        with self._reporting:
            if self.state != "draining":
                self.state = state
            self._wanted, self.problem = wanted, problem
            self._write()

    def _beat(self) -> None:
        with self._reporting:
            self._write()

    def _write(self) -> None:
        now = self.now
        deployment = None if now is None else now.live.deployment
        beat = {"deployment": deployment, "wanted": self._wanted, "problem": self.problem}
        try:
            servers.beat(self._ledger, self._server, **beat, state=self.state, at=now_ms())
        except NotFound:
            self._server = servers.enter(self._ledger, self.endpoint, url=self._url, at=now_ms())
            servers.beat(self._ledger, self._server, **beat, state=self.state, at=now_ms())
