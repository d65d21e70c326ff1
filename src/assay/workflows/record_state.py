"""What this clone knows of the records on a remote, so that only what is new is sent or read.

It is a file of `.assay/records` for each remote and ledger. Where it is lost, all is sent and
read once more, and nothing comes to harm; it is forgotten, though, which runs are a hub's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from assay.base.files import explain, write_atomic
from assay.objects.remotes import RemoteSettings
from assay.project.workspace import Project

_FORM = 1


class State(msgspec.Struct, kw_only=True):
    """What is known of one remote, or of a hub.

    Attributes
    ----------
    packs : dict
        The packs that were sent or read, and the ids of the runs and models that they hold.
    graves : dict
        The ids of what is gone for good, by the pack that says so.
    runs, models : dict
        When each was changed as the remote has it, by id.
    purged : list of str
        The runs of which the remote knows that they are gone.
    brought : list of str
        The runs and logged models that came from the hub one by one: it has its own record of
        them, and what becomes of the copies here, such as a purge, is not for it.
    ledger : list of int
        The ledger's file as it was when all of it was on the remote.
    goes_on : bool
        Whether a run went on then: it may have been killed since, and the file does not tell.
    """

    form: int = _FORM
    packs: dict[str, list[str]] = {}
    graves: dict[str, list[str]] = {}
    runs: dict[str, int] = {}
    models: dict[str, int] = {}
    purged: list[str] = []
    brought: list[str] = []
    ledger: list[int] | None = None
    goes_on: bool = False

    @property
    def held(self) -> set[str]:
        """The ids of all runs and logged models that packs on the remote hold."""
        return {id_ for ids in self.packs.values() for id_ in ids}

    def forget(self, lost: set[str]) -> None:
        """Forget packs that the remote has no more, and that it has what they held."""
        held = {id_ for name in lost for id_ in self.packs.pop(name, ())}
        buried = {id_ for name in lost for id_ in self.graves.pop(name, ())}
        for known in (self.runs, self.models):
            for id_ in held & known.keys():
                del known[id_]
        self.purged = [id_ for id_ in self.purged if id_ not in buried]
        if lost:
            self.ledger = None


def path_of(project: Project, settings: RemoteSettings, *, ledger: str) -> Path:
    """Return where the state of a remote is kept; its address may hold a password."""
    named = "\n".join([settings.url, settings.options.get("endpointurl", ""), ledger])
    name = hashlib.sha256(named.encode()).hexdigest()[:16]
    return project.assay_dir / "records" / name


def read(path: Path) -> State:
    """Return the state that a file holds; nothing is known where it cannot be read."""
    try:
        state = msgspec.msgpack.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State()
    return state if state.form == _FORM else State()


def write(path: Path, state: State) -> None:
    """Write a state; a folder that cannot be written to costs the next command some time."""
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, msgspec.msgpack.encode(state))
    except OSError as error:
        raise explain(error, path) from error


def of_file(where: Path | str) -> list[int] | None:
    """Return what changes with each write to a ledger that is a file; None of a database."""
    if isinstance(where, str):
        return None
    found: list[int] = []
    for name in (str(where), f"{where}-wal"):
        try:
            status = Path(name).stat()
        except OSError:
            continue
        if status.st_size:
            found += [status.st_ino, status.st_mtime_ns, status.st_size]
    return found
