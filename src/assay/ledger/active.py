"""A run that this process records: what `assay.run()` gives, and how it begins and ends."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound
from assay.ledger import values
from assay.ledger.buffer import Buffer
from assay.ledger.writer import DEFAULT_EXPERIMENT, Artifact, Code, Metric, Writer

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.environment import Environment
    from assay.ledger.writer import Outcome
    from assay.project.workspace import Project

_LOG_TAIL = 4000  # characters of a traceback that are kept


class ActiveRun:
    """A run that goes on; threads may share it, and forked processes may log to it."""

    def __init__(
        self,
        id_: str,
        *,
        ledger: Ledger,
        experiment: str = DEFAULT_EXPERIMENT,
        code: Code | None = None,
        environment: Environment | None = None,
    ) -> None:
        self.id, self.ledger, self.experiment = id_, ledger, experiment
        self.code, self.environment = code, environment
        self.is_open = True
        self._writer = Writer(ledger)
        self._buffer = Buffer(lambda points: self._writer.log_metrics(id_, points))
        self._pid = os.getpid()

    def log_param(self, key: str, value: object) -> None:
        """Record a parameter; it cannot get another value later."""
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters, all or none; nested ones get dotted names."""
        self._check_open()
        if params:
            self._writer.log_params(self.id, values.flatten(params))

    def log_metric(self, key: str, value: object, *, step: int | None = None) -> None:
        """Record a number; it is written within half a second."""
        self.log_metrics({key: value}, step=step)

    def log_metrics(self, metrics: Mapping[str, object], *, step: int | None = None) -> None:
        """Record numbers of one moment; they are written within half a second."""
        self._check_open()
        at = now_ms()
        points = [
            Metric(
                key=values.key_text("metric", key),
                value=values.number(key, value),
                step=values.step(key, step),
                at=at,
            )
            for key, value in metrics.items()
        ]
        self._buffer.add(points)

    def log_artifact(self, path: str | Path, *, to: str | None = None) -> None:
        """Keep a file with the run, in the folder `to` of its artifacts."""
        file = Path(path)
        if file.is_dir():
            raise Error(
                "this is a folder; expected is a file",
                where=file,
                hint=f"assay.log_artifacts({str(path)!r})",
            )
        self._keep({file.name: file}, to)

    def log_artifacts(self, folder: str | Path, *, to: str | None = None) -> None:
        """Keep all files of a folder with the run, in the folder `to` of its artifacts."""
        root = Path(folder)
        if not root.is_dir():
            raise NotFound(
                "there is no such folder", where=root, hint="a single file: assay.log_artifact()"
            )
        files = {
            file.relative_to(root).as_posix(): file
            for file in sorted(root.rglob("*"))
            if file.is_file()
        }
        self._keep(files, to)

    def _keep(self, files: Mapping[str, Path], to: str | None) -> None:
        from assay.project import workspace

        self._check_open()
        under = _inside_artifacts(to)
        for file in files.values():
            if not file.is_file():
                raise NotFound("there is no such file", where=file, hint="write it first")
        stored = workspace.find().objects.add_files(files.values())
        kept = [
            Artifact(path=str(under / name), oid=f"sha256:{one.oid}", size=one.size)
            for name, one in zip(files, stored, strict=True)
        ]
        self._writer.add_artifacts(self.id, kept)

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag, over one of the same name."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags, over those of the same name."""
        self._check_open()
        if tags:
            self._writer.set_tags(self.id, tags)

    def flush(self) -> None:
        """Write the metrics that wait."""
        self._buffer.flush()

    def close(self) -> None:
        """Write what waits and leave the ledger; the run's end is not recorded by this."""
        try:
            self.flush()
        finally:
            self.ledger.close()

    @contextlib.contextmanager
    def ending(self, *, is_recorded: bool) -> Iterator[None]:
        """Write what waits at the end of a block and, if that is to be, how the run ended."""
        cpu = time.process_time()
        try:
            yield
        except BaseException as error:
            try:
                self.flush()
                if is_recorded:
                    self._end(*_outcome(error), cpu=cpu, log_tail=_traceback())
            except Error as failure:  # what went wrong first is what the user has to see
                error.add_note(f"the end of the run was not recorded: {failure}")
            raise
        else:
            self.flush()
            if is_recorded:
                self._end("finished", None, cpu=cpu)

    def _end(
        self, status: Outcome, reason: str | None, *, cpu: float, log_tail: str | None = None
    ) -> None:
        if os.getpid() != self._pid:  # a forked process that leaves the block
            return
        self.is_open = False
        self._writer.finish_run(
            self.id,
            status=status,
            peak_memory=_peak_memory(),
            cpu_seconds=time.process_time() - cpu,
            log_tail=log_tail if status == "failed" else None,
            reason=reason,
        )
        self.ledger.close()

    def _check_open(self) -> None:
        if not self.is_open:
            raise Error(f"the run {self.id} has ended", hint="log inside its 'with' block")


def start(*, name: str | None, experiment: str | None, parent: ActiveRun | None) -> ActiveRun:
    """Begin a run of this script, as a part of `parent` where there is one."""
    from assay.ledger import environment as environments
    from assay.ledger.database import open_ledger

    project = _project()
    ledger = open_ledger(parent.ledger.where if parent else _where(project))
    belongs_to = experiment or (parent.experiment if parent else DEFAULT_EXPERIMENT)
    environment = (parent.environment if parent else None) or environments.capture()
    code = (parent.code if parent else None) or _code(project)
    script = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] else ""
    id_ = Writer(ledger).start_run(
        name=name or script.strip("-") or "interactive",
        kind="script",
        experiment=belongs_to,
        parent=parent.id if parent else None,
        command=shlex.join(sys.argv) or None,
        directory=_directory(project),
        code=code,
        environment=environment,
    )
    return ActiveRun(id_, ledger=ledger, experiment=belongs_to, code=code, environment=environment)


def join(id_: str) -> ActiveRun:
    """Return the run `id_` of the ledger that the environment names, begun by somebody else."""
    from assay.ledger import runs
    from assay.ledger.database import open_ledger

    ledger = open_ledger(_where(None), create=False)
    row = runs.get(ledger, id_)
    return ActiveRun(row.id, ledger=ledger, experiment=row.experiment)


def _where(project: Project | None) -> Path | str:
    from assay.project import settings, workspace

    given = os.environ.get("ASSAY_LEDGER")
    return given or settings.ledger_where(project or workspace.find())


def _project() -> Project | None:
    """Return the project around the current folder; None where ASSAY_LEDGER makes up for it."""
    from assay.project import workspace

    try:
        return workspace.find()
    except NotFound:
        if os.environ.get("ASSAY_LEDGER"):
            return None
        raise


def _code(project: Project | None) -> Code | None:
    from assay.ledger import code

    return None if project is None else code.capture(project)


def _directory(project: Project | None) -> str | None:
    here = Path(os.path.realpath(Path.cwd()))
    if project is None or not here.is_relative_to(project.root):
        return None
    return here.relative_to(project.root).as_posix()


def _outcome(error: BaseException) -> tuple[Outcome, str | None]:
    if isinstance(error, SystemExit) and error.code in {None, 0}:
        return "finished", None
    if isinstance(error, KeyboardInterrupt):
        return "killed", "interrupted"
    return "failed", f"{type(error).__name__}: {error}"


def _traceback() -> str:
    return traceback.format_exc()[-_LOG_TAIL:]


def _peak_memory() -> int:
    """Return the most memory that this process had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def _inside_artifacts(to: str | None) -> PurePosixPath:
    folder = PurePosixPath(to or "")
    if folder.is_absolute() or ".." in folder.parts:
        raise Error(
            f"the folder {to!r} leaves the run's artifacts",
            hint="give a relative path without '..', such as 'plots/train'",
        )
    return folder
