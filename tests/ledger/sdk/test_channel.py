"""A channel says that its runs live, and tells the script, and nobody else, what was refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import assay
from assay.base.errors import Error
from assay.ledger import liveness, runs, system
from assay.ledger.database import open_ledger
from assay.ledger.operations import (
    Batch,
    Beat,
    FinishRun,
    LogMetrics,
    LogParams,
    Operation,
    Refusal,
    StartRun,
)
from assay.ledger.process import Process
from assay.ledger.sdk import channels, spool
from assay.ledger.sdk.channel import Channel
from assay.ledger.sinks import LedgerSink, Unavailable
from assay.ledger.writer import Writer
from tests import make

WHO = Process(host="h", boot="b", pid=1, start="1")


class Noting(LedgerSink):
    """A ledger that can be told to refuse, and a note of what it took."""

    def __init__(self, where: Path) -> None:
        super().__init__(str(where))
        self.problem: Error | None = None
        self.taken: list[Operation] = []

    def send(self, batch: Batch) -> list[Refusal]:
        if self.problem is not None:
            raise self.problem
        refused = super().send(batch)
        self.taken += batch.operations
        return refused


@pytest.fixture
def sink(tmp_path: Path) -> Noting:
    return Noting(tmp_path / "ledger.db")


@pytest.fixture
def channel(sink: Noting, tmp_path: Path) -> Iterator[Channel]:
    opened = Channel(sink, folder=tmp_path / "spool")
    opened.join()
    yield opened
    sink.problem = None
    opened.leave()


@pytest.fixture
def scripted(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project that a script runs in; its heart beats quickly."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("ASSAY_RUN_SYSTEM_METRICS", "true")
    monkeypatch.setattr(liveness, "BEAT", 0.02)
    monkeypatch.setattr(system, "EVERY", 0.0)
    yield project
    channels._channels.clear()


def begun(run: str, name: str = "train") -> StartRun:
    return StartRun(run=run, name=name, kind="script", experiment="e", at=1, process=WHO)


def steps(sink: Noting, run: str) -> list[int]:
    of_run = [one for one in sink.taken if isinstance(one, LogMetrics) and one.run == run]
    return [point.step for one in of_run for point in one.points]


def wait_until(is_so: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_a_run_that_logs_all_the_time_says_that_it_lives(
    channel: Channel, sink: Noting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(liveness, "BEAT", 0.05)
    channel.begin(begun("r"))

    def has_beaten() -> bool:
        channel.point("r", "loss", 1.0, step=1, at=1)
        return any(isinstance(one, Beat) for one in sink.taken)

    wait_until(has_beaten)
    channel.end("r", FinishRun(run="r", status="finished", at=2))


def test_beats_do_not_pile_up_while_a_place_is_away(
    channel: Channel, sink: Noting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(liveness, "BEAT", 0.0)
    asked: list[bool] = []
    channel.begin(begun("r"), beat=asked.append)
    sink.problem = Unavailable("not now")
    channel.point("r", "loss", 1.0, step=1, at=1)
    channel.flush()
    n_asked = len(asked)
    made = channel._outbox.made
    wait_until(lambda: len(asked) > n_asked + 5)
    assert (asked[-1], channel._outbox.made) == (False, made)
    sink.problem = None
    channel.end("r", FinishRun(run="r", status="finished", at=2))
    assert steps(sink, "r") == [1]
    assert not spool.files(tmp_path / "spool")


def test_no_beat_comes_after_the_end_of_its_run(
    channel: Channel, sink: Noting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(liveness, "BEAT", 0.0)
    ended: list[str] = []

    def end(_is_heard: bool) -> None:
        if not ended:
            ended.append("r")
            channel.end("r", FinishRun(run="r", status="killed", at=2))

    channel.begin(begun("r"), beat=end)
    wait_until(lambda: ended)
    channel.begin(begun("later"))
    wait_until(lambda: any(isinstance(one, Beat) and one.run == "later" for one in sink.taken))
    channel.end("later", FinishRun(run="later", status="finished", at=3))
    of_run = [type(one) for one in sink.taken if one.run == "r"]
    assert FinishRun in of_run
    assert of_run.index(FinishRun) == len(of_run) - 1


def test_a_beat_that_fails_keeps_no_other_from_being_sent(
    channel: Channel, sink: Noting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(liveness, "BEAT", 0.0)

    def fail(_is_heard: bool) -> str:
        raise RuntimeError("the machine cannot be measured")

    channel.begin(begun("first"), beat=fail)
    channel.begin(begun("second"), beat=lambda _: "a line")
    beats = {"first": None, "second": "a line"}
    wait_until(
        lambda: (
            beats.items()
            <= {one.run: one.log_tail for one in sink.taken if isinstance(one, Beat)}.items()
        )
    )
    for run in beats:
        channel.end(run, FinishRun(run=run, status="finished", at=2))


@pytest.mark.parametrize("name", ["inner", "\ud800"])
def test_a_run_that_cannot_begin_takes_nothing_of_another_run_with_it(
    channel: Channel, sink: Noting, name: str
):
    channel.begin(begun("outer"))
    if name == "inner":
        sink.problem = Error("you may not write to it")
    for step in range(3):
        channel.point("outer", "loss", 1.0, step=step, at=1)
    with pytest.raises(Error, match=r"you may not write to it|this is not recorded"):
        channel.begin(begun("inner", name))
    for step in range(3, 6):
        channel.point("outer", "loss", 1.0, step=step, at=1)
    sink.problem = None
    channel.end("outer", FinishRun(run="outer", status="finished", at=2))
    assert steps(sink, "outer") == [0, 1, 2, 3, 4, 5]
    assert not [one for one in sink.taken if one.run == "inner"]


def test_what_is_refused_is_known_before_its_batch_counts_as_written(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
):
    written: list[int] = []
    monkeypatch.setattr(
        channel, "_refuse", lambda *_: written.append(channel._outbox.written)
    )  # where the script looked now, it would be told nothing
    channel.begin(begun("r"))
    channel.put(LogParams(run="r", params={"lr": ("1", "int")}))
    channel.flush()
    before = channel._outbox.written
    channel.put(LogParams(run="r", params={"lr": ("2", "int")}))
    channel.end("r", FinishRun(run="r", status="finished", at=2))
    assert written == [before]


def test_a_sample_of_the_machine_does_not_take_the_error_that_is_the_scripts(scripted: Path):
    def n_samples() -> int:
        with open_ledger(scripted / ".assay" / "ledger.db") as other:
            found = [key for key in runs.get(other, run.id).metrics if key.startswith("system/")]
            return sum(len(runs.history(other, run.id, key)) for key in found)

    with pytest.raises(Error, match="parameter 'depth' of the run is '5' already"):  # noqa: PT012, SIM117 -- the block is what is tested
        with assay.run() as run:
            run.flush()
            with open_ledger(scripted / ".assay" / "ledger.db") as other:
                Writer(other).log_params(run.id, {"depth": 5})
            assay.log_param("depth", 6)
            wait_until(lambda: run.channel._refused)
            before = n_samples()
            wait_until(lambda: n_samples() > before + 10)


def test_what_was_read_is_recorded_where_something_else_was_refused(scripted: Path):
    make.write(scripted, {"data.csv": "a\n"})
    make.done(scripted, "add", "data.csv")
    with pytest.raises(Error, match="parameter 'depth' of the run is '5' already"):  # noqa: PT012, SIM117 -- the block is what is tested
        with assay.run() as run:
            run.flush()
            (scripted / "data.csv").read_text()
            with open_ledger(scripted / ".assay" / "ledger.db") as other:
                Writer(other).log_params(run.id, {"depth": 5})
            run.channel.add(LogParams(run=run.id, params={"depth": ("6", "int")}))
            wait_until(lambda: run.channel._refused)
    with open_ledger(scripted / ".assay" / "ledger.db") as other:
        assert [one.path for one in runs.get(other, run.id).inputs] == ["data.csv"]


def test_what_is_refused_of_a_process_of_a_run_is_said_at_its_end(scripted: Path):
    with assay.run(params={"depth": 5}) as run:
        run.flush()
        done = subprocess.run(
            [sys.executable, "-c", "import assay; assay.log_param('depth', 6)"],
            env={**os.environ, "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stderr.startswith(
        "assay: a part of a run was not recorded: parameter 'depth' of the run is '5' already; it "
        "cannot become '6'\n  hint: log it under another name"
    )


def test_a_part_of_a_run_begins_while_the_beginning_of_the_whole_still_waits_elsewhere(
    channel: Channel, sink: Noting, tmp_path: Path
):
    open_ledger(sink.name).close()
    part = msgspec.structs.replace(begun("part"), parent="whole")
    channel.begin(part)
    channel.point("part", "loss", 1.0, step=1, at=1)
    assert sink.taken == []
    parent = Channel(LedgerSink(sink.name), folder=tmp_path / "of its parent")
    parent.begin(begun("whole"))
    parent.leave()
    channel.end("part", FinishRun(run="part", status="finished", at=2))
    with open_ledger(sink.name) as ledger:
        found = runs.get(ledger, "part")
    assert (found.parent, found.status, found.metrics["loss"].value) == ("whole", "finished", 1.0)


def test_a_run_says_soon_after_its_beginning_that_it_lives_whenever_the_next_time_is(
    channel: Channel, sink: Noting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(liveness, "BEAT", 1000.0)

    def beats() -> list[tuple[str, str | None]]:
        return [(one.run, one.log_tail) for one in sink.taken if isinstance(one, Beat)]

    channel.begin(begun("first"), beat=lambda _: "a line")
    wait_until(beats)
    assert beats() == [("first", "a line")]
    channel.begin(begun("second"))
    wait_until(lambda: len(beats()) > 1)
    assert beats() == [("first", "a line"), ("first", "a line"), ("second", None)]
    for run in ("first", "second"):
        channel.end(run, FinishRun(run=run, status="finished", at=2))
    assert len(beats()) == 3
