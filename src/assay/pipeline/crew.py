"""Several stages at work at one time, each in a thread; a single one in the caller's."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from assay.pipeline import command
from assay.pipeline.execute import Made
from assay.pipeline.executors import Executor, Result, Running, Task, open_executor
from assay.project.stages import Stage


class Finished(msgspec.Struct, frozen=True):
    """A stage that is no longer at work, with what it made or why it made nothing."""

    stage: Stage
    made: Made | None
    error: BaseException | None


class Crew:
    """Works on stages; use it in a `with`: when that ends early, what runs is ended.

    Parameters
    ----------
    jobs : int
        How many may be at work at one time.
    executor : str
        Where their commands run.
    """

    def __init__(self, *, jobs: int, executor: str) -> None:
        self._jobs, self._kind = jobs, executor
        self._executor: Executor | None = None
        self._gate = threading.Lock()
        self._running: set[Running] = set()
        self._threads: dict[str, threading.Thread] = {}
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._is_stopped = False

    @property
    def is_full(self) -> bool:
        """Whether no other stage may begin now."""
        return len(self._threads) >= self._jobs

    def start(self, stage: Stage, work: Callable[[], Made]) -> None:
        """Begin to work on a stage; with one job it is finished on return."""
        if self._executor is None:
            self._executor = open_executor(self._kind)
        if self._jobs == 1:
            self._do(stage, work)
            return
        thread = threading.Thread(target=self._do, args=(stage, work), daemon=True)
        self._threads[stage.address] = thread
        thread.start()

    def _do(self, stage: Stage, work: Callable[[], Made]) -> None:
        try:
            finished = Finished(stage, work(), None)
        except BaseException as error:  # the one who asks for it raises it
            if self._jobs == 1 and not isinstance(error, Exception):
                raise
            finished = Finished(stage, None, error)
        self._finished.put(finished)

    def run(self, task: Task) -> Result:
        """Run a command of a stage to its end.

        Raises
        ------
        KeyboardInterrupt
            If the crew was stopped meanwhile.
        """
        if self._executor is None:
            raise RuntimeError("no stage has begun")
        if self._jobs == 1:
            return command.finish(self._executor, task)
        with self._gate:
            self.check()
            running = self._executor.submit(task)
            self._running.add(running)
        try:
            result = running.wait()
        finally:
            with self._gate:
                self._running.discard(running)
        self.check()
        return result

    def check(self) -> None:
        """Raise KeyboardInterrupt if the crew was stopped."""
        if self._is_stopped:
            raise KeyboardInterrupt

    def next(self) -> Finished:
        """Wait for a stage to be finished."""
        finished = self._finished.get()
        thread = self._threads.pop(finished.stage.address, None)
        if thread is not None:
            thread.join()
        return finished

    def stop(self) -> None:
        """End all commands that run, and wait until the stages are as they were before."""
        with self._gate:
            self._is_stopped = True
            running = list(self._running)
        killers = [threading.Thread(target=one.kill, daemon=True) for one in running]
        for killer in killers:
            killer.start()
        for thread in (*killers, *self._threads.values()):
            while thread.is_alive():
                with contextlib.suppress(KeyboardInterrupt):
                    thread.join()
        self._threads.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads:
            self.stop()
        if self._executor is not None:
            self._executor.close()
