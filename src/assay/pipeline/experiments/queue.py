"""Experiments that wait, run, or have run: plain git references and files.

An entry is a commit under `refs/assay/queue/NAME`: its tree is what the experiment begins with,
its message what is to be done. How far it has come stands in `.assay/queue/NAME/state.json`, what
it prints in `log` beside it. A running one holds `held`, a lock that ends with its process: what
says that it runs and is not held was killed. All of this outlives a reboot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.files import write_atomic
from assay.pipeline.experiments import commit
from assay.project import git
from assay.project.holding import holding
from assay.project.workspace import Project

NAMESPACE = "refs/assay/queue"

Status = Literal["queued", "running", "success", "failed"]
KILLED = "it was killed"
_PATIENCE = 5.0  # seconds in which a process says which one it is


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done; the message of an entry's commit.

    Attributes
    ----------
    at : int
        When it was queued, in Unix milliseconds.
    order : int
        Its place among those that were queued at one time.
    cwd : str
        Where it was queued, relative to the root of the project.
    overrides : str
        The parameters that were set, in words.
    command : str
        The command line that its run is recorded with.
    options : dict
        The keywords of `repro`.
    """

    name: str
    baseline: str
    at: int
    order: int = 0
    targets: tuple[str, ...] = ()
    cwd: str = "."
    overrides: str = ""
    command: str = ""
    message: str | None = None
    copy: tuple[str, ...] = ()
    force: bool = False
    options: dict[str, Any] = {}


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How far an entry has come; times in Unix milliseconds."""

    status: Status = "queued"
    process: int | None = None
    started: int | None = None
    ended: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    run: str | None = None
    experiment: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A task in the queue."""

    task: Task
    commit: str
    state: State

    @property
    def name(self) -> str:
        """Its name, and that of the experiment."""
        return self.task.name

    @property
    def status(self) -> Status:
        """How far it has come."""
        return self.state.status


class Queue:
    """The queue of a clone."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.root = project.git_root
        self.folder = project.assay_dir / "queue"

    def put(self, task: Task, tree: str) -> Entry:
        """Queue a task that begins with a git tree.

        Raises
        ------
        Error
            If one of its name waits or runs.
        """
        with self.changing():
            before = self.find(task.name)
            if before is not None and (
                before.status == "running" or (before.status == "queued" and not task.force)
            ):
                raise Error(
                    f"an experiment '{task.name}' {_in_words(before.status)} already",
                    where="the queue",
                    hint=f"choose another name, or take it out: assay queue remove {task.name}"
                    if before.status == "queued"
                    else f"choose another name, or end it: assay queue kill {task.name}",
                )
            text = msgspec.json.encode(task).decode()
            made = commit.make(self.root, tree, parent=task.baseline, message=text)
            shutil.rmtree(self.folder / task.name, ignore_errors=True)
            git.git("update-ref", f"{NAMESPACE}/{task.name}", made, cwd=self.root)
        return Entry(task=task, commit=made, state=State())

    def list_(self) -> list[Entry]:
        """Return all entries, in the order in which they were queued."""
        form = "--format=%(objectname)%00%(contents)%00"
        out = git.git("for-each-ref", form, f"{NAMESPACE}/", cwd=self.root)
        fields = out.decode(errors="replace").split("\0")
        found = []
        for commit_, text in zip(fields[::2], fields[1::2], strict=False):
            with contextlib.suppress(msgspec.MsgspecError):
                task = msgspec.json.decode(text, type=Task)
                found.append(
                    Entry(task=task, commit=commit_.strip(), state=self._state(task.name))
                )
        return sorted(found, key=lambda entry: (entry.task.at, entry.task.order, entry.name))

    def find(self, name: str) -> Entry | None:
        """Return the entry of a name or the beginning of a commit, or None."""
        entries = self.list_()
        by_name = next((entry for entry in entries if entry.name == name), None)
        if by_name is not None or len(name) < 4:
            return by_name
        return next((entry for entry in entries if entry.commit.startswith(name)), None)

    def get(self, name: str) -> Entry:
        """Return the entry of a name or the beginning of a commit.

        Raises
        ------
        NotFound
            If there is none; with the nearest name.
        """
        found = self.find(name)
        if found is None:
            names = [entry.name for entry in self.list_()]
            raise NotFound(
                f"there is no task '{name}' in the queue",
                where="the queue",
                hint=did_you_mean(name, names) or "see 'assay queue status'",
            )
        return found

    def claim(self) -> tuple[Entry, int] | None:
        """Take the first entry that waits; return it with the lock that its process is to hold.

        Returns None where nothing waits. The caller holds `changing`.
        """
        for entry in self.list_():
            if entry.status == "queued":
                (self.folder / entry.name).mkdir(parents=True, exist_ok=True)
                held = os.open(self._held(entry.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
                fcntl.flock(held, fcntl.LOCK_EX)
                state = State(status="running", started=now_ms())
                self.write(entry.name, state)
                return msgspec.structs.replace(entry, state=state), held
        return None

    def write(self, name: str, state: State) -> None:
        """Keep how far an entry has come."""
        write_atomic(self.folder / name / "state.json", msgspec.json.encode(state))

    def begin(self, name: str) -> None:
        """Say that this process runs an entry, whose lock it holds."""
        self.write(name, msgspec.structs.replace(self._read(name), process=os.getpid()))

    def end(
        self,
        name: str,
        status: Status,
        *,
        exit_code: int,
        reason: str | None = None,
        run: str | None = None,
        experiment: str | None = None,
    ) -> None:
        """Keep how an entry ended, if nobody has said so yet."""
        before = self._read(name)
        if before.status == "running":
            after = msgspec.structs.replace(
                before, status=status, process=None, ended=now_ms(), exit_code=exit_code,
                reason=reason, run=run, experiment=experiment,
            )  # fmt: skip
            self.write(name, after)

    def again(self, names: Sequence[str]) -> list[Entry]:
        """Let entries that failed wait again."""
        entries = [self.get(name) for name in names]
        for entry in entries:
            if entry.status in {"running", "success"}:
                raise Error(
                    f"'{entry.name}' {_in_words(entry.status)}: there is nothing to start again",
                    where="the queue",
                    hint="name tasks that failed; see 'assay queue status'",
                )
        with self.changing():
            for entry in entries:
                shutil.rmtree(self.folder / entry.name, ignore_errors=True)
        return entries

    def remove(self, entries: Sequence[Entry]) -> None:
        """Take entries out of the queue, with their logs; experiments that they made stay.

        Raises
        ------
        Error
            If one of them runs.
        """
        with self.changing():
            for entry in entries:
                if self._state(entry.name).status == "running":
                    raise Error(
                        f"'{entry.name}' runs",
                        where="the queue",
                        hint=f"end it first: assay queue kill {entry.name}",
                    )
            for entry in entries:
                git.git("update-ref", "-d", f"{NAMESPACE}/{entry.name}", cwd=self.root)
                shutil.rmtree(self.folder / entry.name, ignore_errors=True)

    def kill(self, entry: Entry, *, force: bool) -> None:
        """End a task that runs: politely, or at once with `force`."""
        end = time.monotonic() + _PATIENCE
        while (process := self._state(entry.name).process) is None and time.monotonic() < end:
            time.sleep(0.02)  # it has just begun
        if process is not None and self._is_held(entry.name):
            with contextlib.suppress(ProcessLookupError):
                if force:
                    os.killpg(process, signal.SIGKILL)
                else:
                    os.kill(process, signal.SIGINT)

    def log(self, name: str) -> Path:
        """Return the file that has what a task prints."""
        return self.folder / name / "log"

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Let nobody else change the queue."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with holding(self.folder / "lock"):
            yield

    def _held(self, name: str) -> Path:
        return self.folder / name / "held"

    def _is_held(self, name: str) -> bool:
        with contextlib.suppress(FileNotFoundError), self._held(name).open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _read(self, name: str) -> State:
        try:
            return msgspec.json.decode(
                (self.folder / name / "state.json").read_bytes(), type=State
            )
        except (OSError, msgspec.MsgspecError):
            return State()

    def _state(self, name: str) -> State:
        """Return how far an entry has come; one whose process is gone was killed."""
        state = self._read(name)
        if state.status == "running" and not self._is_held(name):
            state = self._read(name)  # it may just have ended
            if state.status == "running":
                return msgspec.structs.replace(state, status="failed", reason=KILLED)
        return state


def _in_words(status: Status) -> str:
    return {"queued": "waits", "running": "runs", "success": "has run", "failed": "failed"}[status]
