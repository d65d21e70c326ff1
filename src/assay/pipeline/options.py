"""What a person asks of a `repro`, beside the targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import msgspec

from assay.base.errors import Usage
from assay.project.definition import Tracked

Bring = Callable[[Sequence[Tracked]], None]
"""Copies recorded contents from where they are shared into the cache, as far as they are there."""


class Flags(TypedDict, total=False):
    """The same as `Options`, as keywords of a function."""

    force: bool
    single: bool
    pipeline: bool
    all_pipelines: bool
    recursive: bool
    glob: bool
    downstream: bool
    force_downstream: bool
    allow_missing: bool
    keep_going: bool
    ignore_errors: bool
    use_run_cache: bool
    commit: bool
    strict: bool
    jobs: int
    executor: str
    env: Mapping[str, str]
    name: str | None
    command: str | None
    tags: Mapping[str, str]
    confirm: Callable[[str], bool] | None
    bring: Bring | None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a `repro` goes about it.

    Attributes
    ----------
    force : bool
        Run every stage of the plan, whatever changed.
    single : bool
        Only the targets, not what they need.
    pipeline, all_pipelines : bool
        All stages that hang together with the targets; all stages of the project.
    recursive, glob : bool
        The targets are folders with stages in them; patterns of names.
    downstream : bool
        The targets and what depends on them, instead of what they need.
    force_downstream : bool
        Run what depends on a stage that ran, whatever changed.
    allow_missing : bool
        What is only missing here does not count as changed.
    keep_going, ignore_errors : bool
        After a failure, run what does not depend on it; run all, and call it done.
    use_run_cache : bool
        Take outputs that a command made before from the cache.
    commit : bool
        Put outputs into the cache.
    strict : bool
        A stage that reads or writes what it does not declare fails.
    jobs : int
        Stages that run at one time.
    executor : str
        Where commands run.
    env : mapping
        What the environment of commands has in addition.
    name : str or None
        What its run is called; the targets, or the project, where not given.
    command : str or None
        The command line that the run is recorded with; that of `repro`, where not given.
    tags : mapping
        Tags that its run has from its beginning.
    confirm : callable or None
        Asked before a stage runs, with its address; a 'no' ends it.
    bring : callable or None
        Gets missing contents from a remote.
    """

    force: bool = False
    single: bool = False
    pipeline: bool = False
    all_pipelines: bool = False
    recursive: bool = False
    glob: bool = False
    downstream: bool = False
    force_downstream: bool = False
    allow_missing: bool = False
    keep_going: bool = False
    ignore_errors: bool = False
    use_run_cache: bool = True
    commit: bool = True
    strict: bool = False
    jobs: int = 1
    executor: str = "local"
    env: Mapping[str, str] = {}
    name: str | None = None
    command: str | None = None
    tags: Mapping[str, str] = {}
    confirm: Callable[[str], bool] | None = None
    bring: Bring | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise Usage(f"'jobs' is {self.jobs}, expected 1 or more")
        if self.confirm is not None and self.jobs > 1:
            raise Usage(
                "'--interactive' and '--jobs' exclude each other",
                hint="answer for one stage after the other, or let several run at a time",
            )
        if self.keep_going and self.ignore_errors:
            raise Usage(
                "'--keep-going' and '--ignore-errors' exclude each other",
                hint="the one leaves out what depends on a failed stage, the other runs it",
            )

    @property
    def expects_all(self) -> bool:
        """Whether everything that a stage reads has to be here or to be made, before any runs."""
        lenient = self.allow_missing or self.keep_going or self.ignore_errors
        return not lenient and self.bring is None
