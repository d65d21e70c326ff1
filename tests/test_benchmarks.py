"""The benchmarks run, check what they measure, and say so when it is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from assay.base.errors import NotFound
from benchmarks import (
    Aim,
    Aims,
    Case,
    Command,
    Result,
    Sizes,
    Wrong,
    answer,
    data,
    experiments,
    large,
    measure,
    pipelines,
    programs,
    stages,
    startup,
)
from benchmarks.cost import Cost, costs
from benchmarks.data import hashes_in, make, manifest, record
from benchmarks.page import page
from benchmarks.run import Answers, document, text
from tests.make import done, project

TINY = Sizes(n_files=12, file_size=100, large_size=3_000_000, n_many=(20,), n_stages=3)

real_dvc = [
    pytest.mark.peer,
    pytest.mark.skipif(not programs.DVC.exists(), reason="real DVC is not installed"),
]


def result(*, name: str = "add", ours: float = 2, peer: float = 8, aim: Aims = None) -> Result:
    """A case in which the floors took half a second and a second."""
    floors = {"md5": [0.5], "cp -r": [1.0]}
    return Result(
        name=name, ours=[ours], peer=[peer], floors=floors, ours_peak=60_000_000, aim=aim
    )


def printing(folder: Path, word: str, *, wanted: str) -> Command:
    return Command(
        arguments=(sys.executable, "-c", f"print({word!r})"),
        folder=folder,
        environ=programs.environment(folder),
        check=programs.saying(wanted),
    )


def answers(*results: Result) -> Answers:
    machine: dict[str, str | int] = dict.fromkeys(
        ("cpu", "system", "file_system", "python", "dvc"), "?"
    )
    return Answers(
        machine={**machine, "cores": 2}, sizes=TINY, loads=(0.5, 1.5), results={"data": [*results]}
    )


@pytest.mark.parametrize(
    "question", [startup.QUESTION, data.QUESTION, large.QUESTION], ids=lambda q: q.name
)
class TestWithRealDvc:
    pytestmark = real_dvc

    def test_each_case_is_measured_and_every_answer_is_right(self, question, tmp_path):
        results = answer(question, tmp_path, sizes=TINY, rounds=1)

        assert results
        for case in results:
            assert len(case.ours) == len(case.peer) == 1
            assert case.floors
            assert case.ours_peak > 5_000_000


@pytest.mark.slow
class TestPipelines:
    pytestmark = real_dvc

    def test_both_tools_agree_that_the_pipelines_have_nothing_to_do(self, tmp_path):
        results = answer(pipelines.QUESTION, tmp_path, sizes=TINY, rounds=1)

        assert [case.name for case in results] == [
            "repro, bikes",
            "status, bikes",
            "repro, 3 stages",
            "status, 3 stages",
            "repro, 30 stages",
            "status, 30 stages",
        ]

    def test_a_stage_is_measured_among_few_and_among_many(self, tmp_path):
        run, each, run_of_many, each_of_many = answer(
            stages.QUESTION, tmp_path, sizes=TINY, rounds=1
        )

        assert each.name == "each of 3 stages"
        assert each_of_many.name == "each of 3 of 30 stages"
        for total, one in ((run, each), (run_of_many, each_of_many)):
            for whole, part in ((total.ours, one.ours), (total.peer, one.peer)):
                assert 0 < part[0] < whole[0]
        assert each_of_many.floors["each of 3"] == each.ours

    def test_both_tools_run_what_is_queued_and_show_what_ran(self, tmp_path):
        queued, shown = answer(experiments.QUESTION, tmp_path, sizes=TINY, rounds=1)

        assert len(queued.ours) == len(queued.peer) == 1
        assert shown.name == "exp show, 20 experiments"


def test_a_wrong_answer_stops_the_benchmark(tmp_path):
    good = printing(tmp_path, "yes", wanted="yes")
    bad = printing(tmp_path, "no", wanted="yes")

    with pytest.raises(Wrong, match="it prints 'no', not 'yes'"):
        measure(Case(name="asked", ours=good, peer=bad, floors={"good": good}), rounds=1)


def test_a_program_that_fails_stops_the_benchmark(tmp_path):
    failing = msgspec.structs.replace(
        printing(tmp_path, "", wanted=""), arguments=(sys.executable, "-c", "raise SystemExit(3)")
    )

    with pytest.raises(Wrong, match="exit code 3"):
        failing.seconds()


def test_memory_is_that_of_the_command_and_not_of_whoever_measures(tmp_path):
    mine = b"x" * 300_000_000

    least = printing(tmp_path, "a", wanted="a").run()
    much = msgspec.structs.replace(
        printing(tmp_path, "", wanted=""),
        arguments=(sys.executable, "-c", "x = b'x' * 100_000_000"),
    ).run()

    assert len(mine) == 300_000_000
    assert least.peak < 40_000_000
    assert 100_000_000 < much.peak < 140_000_000


def test_all_take_turns_after_one_that_does_not_count(tmp_path):
    turns: list[str] = []

    def named(name: str) -> Command:
        command = printing(tmp_path, name, wanted=name)
        return msgspec.structs.replace(command, prepare=lambda: turns.append(name))

    found = measure(
        Case(name="x", ours=named("ours"), peer=named("peer"), floors={"least": named("floor")}),
        rounds=2,
    )

    assert turns == ["floor", "ours", "peer"] * 3
    assert [len(found.ours), len(found.peer), len(found.floors["least"])] == [2, 2, 2]


def test_a_long_case_takes_its_own_number_of_turns(tmp_path):
    turns: list[str] = []
    command = msgspec.structs.replace(
        printing(tmp_path, "x", wanted="x"), prepare=lambda: turns.append("x")
    )
    case = Case(name="x", ours=command, peer=command, floors={"x": command}, rounds=1)

    assert len(measure(case, rounds=3).ours) == 1
    assert len(turns) == 3


def test_the_highest_floor_counts():
    assert result().floor == "cp -r"
    assert result().ours_over_floor == 2
    assert result().peer_over_ours == 4


@pytest.mark.parametrize(
    ("aim", "reached"),
    [
        (None, None),
        (Aim("floor", 2), False),
        (Aim("floor", 2.1), True),
        (Aim("peer", 4), True),
        (Aim("peer", 5), False),
        (Aim("floors", 1.3), False),
        (Aim("floors", 1.4), True),
        (Aim("over floor", 0.9), False),
        (Aim("over floor", 1), True),
        (Aim("seconds", 1.9), False),
        (Aim("seconds", 2), True),
        (Aim("memory", 59e6), False),
        (Aim("memory", 60e6), True),
        ((Aim("peer", 4), Aim("memory", 60e6)), True),
        ((Aim("peer", 4), Aim("memory", 59e6)), False),
    ],
)
def test_an_aim_is_reached_or_missed(aim, reached):
    assert result(aim=aim).reached is reached


def test_the_expected_record_is_the_one_that_add_writes(tmp_path):
    root = project(tmp_path / "project")
    wanted = make(root / "data", sizes=TINY)

    done(root, "add", "data")

    assert (root / "data.dvc").read_text() == record(wanted, size=12 * 100)
    assert manifest(wanted) in [
        path.read_bytes() for path in (root / ".dvc" / "cache").rglob("*.dir")
    ]


def test_a_changed_byte_is_seen(tmp_path):
    wanted = make(tmp_path, sizes=TINY)
    assert hashes_in(tmp_path) == wanted

    next(tmp_path.rglob("*.bin")).write_bytes(b"x" * 100)

    assert hashes_in(tmp_path) != wanted


def test_where_we_lose_the_page_says_so():
    shown = page(
        [data.QUESTION],
        answers(result(name="add", peer=1), result(name="push", aim=Aim("peer", 5))),
        [Cost(command="status", n_modules=7, imports={"click": 1.5}, n_git=1, git_ms=2.5)],
    )

    assert "Slower than DVC: `add`." in shown
    assert "Aims that are missed: `push`." in shown
    assert "| status  |       7 |        1.5 | click 1.5 |             1 |    2.5 |" in shown
    assert "$" not in shown


def test_the_document_has_every_round():
    shown = json.loads(json.dumps(document(answers(result()))))

    assert shown["questions"]["data"][0]["floors"] == {"md5": [0.5], "cp -r": [1.0]}
    assert shown["load"] == {"before": 0.5, "after": 1.5}


def test_the_tables_say_machine_load_sizes_and_rounds():
    shown = text([data.QUESTION], answers(result()))

    assert "2 cores" in shown
    assert "load 0.5 before and 1.5 after" in shown
    assert "12 files of 100 bytes, 1 round\n" in shown


@pytest.mark.peer
@pytest.mark.skipif(not programs.DVC.exists(), reason="real DVC is not installed")
def test_the_costs_name_packages_and_git(tmp_path):
    found = costs(tmp_path, rounds=1)

    version, help_, status, repro = found
    assert [cost.command for cost in found] == ["--version", "--help", "status", "repro"]
    assert "click" not in version.imports
    assert "click" in help_.imports
    assert "yaml" in status.imports
    assert version.n_modules < help_.n_modules < status.n_modules <= repro.n_modules


def test_without_dvc_the_error_says_how_to_get_it(tmp_path):
    with pytest.raises(NotFound, match="make bench"):
        programs.sides(tmp_path, dvc=programs.ROOT / "nowhere" / "dvc")
