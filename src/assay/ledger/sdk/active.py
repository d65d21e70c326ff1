"""A run that this process records: what `assay.run()` gives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, with_article
from assay.ledger import operation_checks, recording, values
from assay.ledger.operations import AddArtifacts, AddEdges, AddInputs, LogParams, SetTags
from assay.ledger.sdk import unkept
from assay.ledger.sdk.tables import Tables
from assay.ledger.writer import DEFAULT_EXPERIMENT, Artifact

if TYPE_CHECKING:
    from assay.ledger.environment import Environment
    from assay.ledger.sdk.heart import Heart
    from assay.ledger.sdk.places import Place
    from assay.ledger.writer import Code

_LARGEST = 2**63
_NO_OID = f"sha256:{'0' * 64}"  # of a file that has to wait


class ActiveRun:
    """A run that goes on; threads may share it, and processes that it starts log to it.

    What is logged is written in the background: nothing is lost when the process ends, and at
    most the last 200 ms when it is killed.
    """

    def __init__(
        self,
        id_: str,
        *,
        place: Place,
        experiment: str = DEFAULT_EXPERIMENT,
        code: Code | None = None,
        environment: Environment | None = None,
        params: Mapping[str, str] | None = None,
        is_part: bool = False,
        name: str | None = None,
        is_new: bool = False,
    ) -> None:
        self.id, self.name, self.experiment = id_, name, experiment
        self.place, self.code, self.environment = place, code, environment
        self.is_open, self.is_part = True, is_part
        self.pid = os.getpid()
        self.channel = place.channel()
        self.heart: Heart | None = None  # of a run that this process began
        self._params = dict(params or {})  # as text
        self._keys: set[object] = set()  # of metrics, that are known to be good
        self._tables = Tables(is_new=is_new)

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}, "
        return f"<run {name}{self.id}, {'open' if self.is_open else 'ended'}>"

    def log_param(self, key: str, value: object) -> None:
        """Record a parameter; it cannot get another value later."""
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters, all or none; nested ones get dotted names.

        Another value than this process logged before is an error at once. Another one than
        another process logged is one at a later call, at the latest at the end of the run.
        """
        self._check_open()
        found = {
            values.check_key("parameter", key): values.dump(value, key=key)
            for key, value in values.flatten(
                values.check_mapping("assay.log_params()", params)
            ).items()
        }
        for key, (text, _) in found.items():
            values.check_text("parameter", key, text)
        texts = {key: text for key, (text, _) in found.items()}
        recording.check_params(self._params, texts)
        if found:
            self._params |= texts
            self.channel.put(LogParams(run=self.id, params=found))

    def log_metric(
        self, key: str, value: object, step: int | None = None, *, at: int | None = None
    ) -> None:
        """Record a number; `step` counts epochs or batches, `at` is a moment in milliseconds."""
        if type(value) is not float:
            value = values.number(key, value)
        if type(step) is not int or not -_LARGEST <= step < _LARGEST:
            step = values.step(key, step)
        if key not in self._keys:
            self._keys.add(values.check_key("metric", key))
        if not self.is_open:
            self._check_open()
        self.channel.point(
            self.id, key, value, step=step, at=now_ms() if at is None else values.moment(key, at)
        )

    def log_metrics(
        self, metrics: Mapping[str, object], step: int | None = None, *, at: int | None = None
    ) -> None:
        """Record numbers of one moment, all or none."""
        self._check_open()
        moment = now_ms() if at is None else values.moment("metrics", at)
        found = [
            (values.check_key("metric", key), values.number(key, value), values.step(key, step))
            for key, value in values.check_mapping("assay.log_metrics()", metrics).items()
        ]
        for name, number, counted in found:
            self.channel.point(self.id, name, number, step=counted, at=moment)

    def log_artifact(self, path: str | Path, to: str | None = None) -> None:
        """Keep a file with the run, in the folder `to` of its artifacts."""
        file = Path(path)
        if file.is_dir():
            raise Error(
                "this is a folder; expected is a file",
                where=file,
                hint=f"assay.log_artifacts({str(path)!r})",
            )
        self._keep({file.name: file}, to)

    def log_artifacts(self, folder: str | Path, to: str | None = None) -> None:
        """Keep all files of a folder with the run, in the folder `to` of its artifacts.

        Links are followed. One that leads nowhere, or back to a folder around it, and what is
        neither file nor folder is left out; a line on stderr says so.
        """
        from assay.ledger.sdk import folders

        root = Path(folder)
        if not root.is_dir():
            raise NotFound(
                "there is no such folder", where=root, hint="a single file: assay.log_artifact()"
            )
        found = folders.find(root)
        self._keep(found.files, to)
        folders.tell(found.left_out)

    def log_text(self, text: str, path: str) -> None:
        """Keep a text as the file `path` of the run's artifacts."""
        if not isinstance(text, str):
            raise Error(
                f"assay.log_text() was given {with_article(type(text).__name__)}; expected is "
                "text",
                where=str(path),
                hint="write it into a file and call assay.log_artifact(), or give str(...)",
            )
        if not values.is_plain(text):
            raise Error(
                "the text holds signs that UTF-8 has no bytes for",
                where=str(path),
                hint="write its bytes into a file and call assay.log_artifact()",
            )
        self._keep_bytes(text.encode(), path)

    def log_dict(self, mapping: Mapping[str, object] | Sequence[object], path: str) -> None:
        """Keep a mapping or list as JSON, or as YAML where the path ends so."""
        from assay.ledger.sdk import renderings

        self._keep_bytes(renderings.mapping(mapping, path), path)

    def log_table(self, data: Any, path: str) -> None:
        """Keep columns, rows or a data frame as `.csv`, `.json` (as MLflow) or `.parquet`.

        Rows come after those of a table that the run has at the path; each call writes all of it.
        """
        from assay.ledger.sdk import renderings

        self._check_open()

        def keep(before: bytes | None) -> None:
            self._keep_bytes(renderings.table(data, path, before=before), path)

        self._tables.extend(self, str(_inside_artifacts(path)), keep)

    def log_figure(self, figure: Any, path: str) -> None:
        """Keep a figure (Matplotlib, Plotly, Altair, Pillow) in the form of the path's ending."""
        from assay.ledger.sdk import renderings

        self._keep_bytes(renderings.figure(figure, path), path)

    def log_dataset(
        self,
        data: Any,
        *,
        name: str | None = None,
        source: str | None = None,
        schema: Mapping[str, Any] | None = None,
        context: str | None = None,
    ) -> None:
        """Record what the run reads, by the hash of its content: a path, or data in memory."""
        from assay.ledger.sdk import inputs, places

        self._check_open()
        found = inputs.dataset(
            data, name=name, source=source, schema=schema, context=context,
            project=places.find_project(),
        )  # fmt: skip
        self.channel.put(AddInputs(run=self.id, data=(found,), at=now_ms()))

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag, over one of the same name."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags, over those of the same name."""
        self._check_open()
        texts = {
            values.check_key("tag", key): values.check_text("tag", key, str(value))
            for key, value in values.check_mapping("assay.set_tags()", tags).items()
        }
        if texts:
            self.channel.put(SetTags(run=self.id, tags=texts))

    def seed(self, number: int) -> None:
        """Seed Python's generator, NumPy's and PyTorch's where imported, and record it."""
        from assay.ledger.sdk import seeds

        self.set_tags({f"seed.{name}": one for name, one in seeds.set_all(number).items()})

    def flush(self) -> None:
        """Wait until all is written, or lies in a file until it can be; raise what was refused."""
        unkept.of_process.retry()
        self.channel.flush()
        self.channel.check(self.id)

    def close(self) -> None:
        """Write what waits; the run's end is not recorded by this."""
        self.is_open = False
        self.channel.end(self.id, None)
        self.channel.check(self.id)

    def made(self, artifacts: Sequence[Artifact], *, thing: str) -> None:
        """Record that the run made a thing whose files are kept already."""
        at = now_ms()
        self._check_open()
        self.channel.put(AddArtifacts(run=self.id, artifacts=tuple(artifacts), at=at))
        edge = (f"run:{self.id}", "made", thing)
        self.channel.put(AddEdges(run=self.id, edges=(edge,), at=at))
        self.flush()

    def read(self, *things: str) -> None:
        """Record that the run read things, such as the bundle of another run."""
        self._check_open()
        edges = tuple((thing, "read_by", f"run:{self.id}") for thing in things)
        self.channel.put(AddEdges(run=self.id, edges=edges, at=now_ms()))

    def _keep(self, files: Mapping[str, Path], to: str | None) -> None:
        self._check_open()
        under = _inside_artifacts(to)
        for file in files.values():
            if not file.is_file():
                raise NotFound("there is no such file", where=file, hint="write it first")
        named = {str(under / name): file for name, file in files.items()}
        try:
            stored = self.place.objects.add_files(files.values())
        except (Error, OSError) as error:
            self._hold(named, error)
            return
        self._add_artifacts(
            Artifact(path=path, oid=f"sha256:{one.oid}", size=one.size)
            for path, one in zip(named, stored, strict=True)
        )

    def _keep_bytes(self, content: bytes, path: str) -> None:
        self._check_open()
        inside = _inside_artifacts(path)
        if inside == PurePosixPath():
            raise Error(f"the path {path!r} names no file", hint="give one, such as 'notes.txt'")
        try:
            oid = self.place.objects.add(content)
        except (Error, OSError) as error:
            self._hold({str(inside): content}, error)
            return
        self._add_artifacts([Artifact(path=str(inside), oid=f"sha256:{oid}", size=len(content))])

    def _hold(self, files: Mapping[str, bytes | Path], problem: Exception) -> None:
        """Let files wait where the disk is full; raise where that is not it."""
        if not unkept.is_full(problem):
            raise problem
        _check_files(Artifact(path=path, oid=_NO_OID, size=0) for path in files)
        unkept.of_process.hold(self, files, problem)
        self._tables.note_waiting(self, files)

    def _add_artifacts(self, found: Iterable[Artifact]) -> None:
        kept = _check_files(found)
        if unkept.of_process:
            unkept.of_process.replaced(self.id, (one.path for one in kept))
            unkept.of_process.retry()
        if kept:
            self._tables.note(kept)
            self.channel.put(AddArtifacts(run=self.id, artifacts=kept, at=now_ms()))

    def _check_open(self) -> None:
        if not self.is_open:
            raise Error(f"the run {self.id} has ended", hint="log inside its 'with' block")


def _check_files(found: Iterable[Artifact]) -> tuple[Artifact, ...]:
    files = tuple(found)
    for problem in operation_checks.of_files(files):
        raise Error(
            f"not kept: {problem}",
            hint="rename the file, or leave it out: assay.log_artifact(FILE)",
        )
    return files


def _inside_artifacts(to: str | Path | None) -> PurePosixPath:
    if not isinstance(to, (str, PurePath, type(None))):
        raise Error(
            f"a path of the run's artifacts is {with_article(type(to).__name__)}; expected is "
            "text",
            hint="a relative path, such as 'plots/train'",
        )
    folder = PurePosixPath(to or "")
    if folder.is_absolute() or ".." in folder.parts:
        raise Error(
            f"the path {to!r} leaves the run's artifacts",
            hint="give a relative path without '..', such as 'plots/train'",
        )
    return folder
