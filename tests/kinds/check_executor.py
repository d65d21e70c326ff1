"""What every executor promises: functions that take a factory, for ours and for a stranger's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.pipeline.executors import Executor, Task

Factory = Callable[[], Executor]


def task(command: str, folder: Path, **given: object) -> Task:
    """Return a task with an environment of its own, and nobody who listens."""
    values: dict[str, object] = {
        "command": command, "cwd": folder, "env": {"PATH": "/usr/bin:/bin", "WHO": "me"},
        "echo": lambda _: None, **given,
    }  # fmt: skip
    return Task(**values)  # type: ignore[arg-type]


def runs_a_command_in_its_folder_with_its_environment(make: Factory, folder: Path) -> None:
    said: list[bytes] = []
    executor = make()
    running = executor.submit(
        task("pwd; echo $WHO; echo err >&2; exit 3", folder, echo=said.append)
    )
    result = running.wait()
    executor.close()
    assert result.exit_status == 3
    assert b"".join(said).decode() == result.tail == f"{folder}\nme\nerr\n"
    assert result.seconds > 0


def keeps_the_last_lines(make: Factory, folder: Path) -> None:
    executor = make()
    assert executor.submit(task("seq 100", folder, keep_lines=2)).wait().tail == "99\n100\n"
    executor.close()


def runs_several_at_a_time(make: Factory, folder: Path) -> None:
    executor = make()
    waits = "touch {0}; until [ -e {1} ]; do sleep 0.01; done"
    pair = [executor.submit(task(waits.format(*names), folder)) for names in ("ab", "ba")]
    assert [running.wait().exit_status for running in pair] == [0, 0]
    executor.close()


def ends_what_is_killed_with_all_that_it_started(make: Factory, folder: Path) -> None:
    executor = make()
    running = executor.submit(task("(sleep 60; touch late) & echo x > began; wait", folder))
    results = []
    waiter = threading.Thread(target=lambda: results.append(running.wait()))
    waiter.start()
    while not (folder / "began").exists():
        time.sleep(0.01)
    running.kill()
    running.kill()
    waiter.join(20)
    executor.close()
    assert results[0].exit_status != 0
    assert not (folder / "late").exists()


def kills_what_nobody_waits_for_yet(make: Factory, folder: Path) -> None:
    executor = make()
    running = executor.submit(task("sleep 60", folder))
    running.kill()
    assert running.wait().exit_status != 0
    executor.close()


def ends_what_takes_too_long(make: Factory, folder: Path) -> None:
    executor = make()
    result = executor.submit(task("sleep 60", folder, limit=0.3)).wait()
    executor.close()
    assert result.is_over_limit
    assert result.exit_status != 0


def names_a_folder_that_is_not_there(make: Factory, folder: Path) -> None:
    executor = make()
    with pytest.raises(Error, match="the folder does not exist"):
        executor.submit(task("true", folder / "gone")).wait()
    executor.close()


CHECKS = (
    runs_a_command_in_its_folder_with_its_environment,
    keeps_the_last_lines,
    runs_several_at_a_time,
    ends_what_is_killed_with_all_that_it_started,
    kills_what_nobody_waits_for_yet,
    ends_what_takes_too_long,
    names_a_folder_that_is_not_there,
)
