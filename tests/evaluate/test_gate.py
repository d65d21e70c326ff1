"""The gate passes what is shown not to be worse, and never for want of data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pytest

from assay.base.errors import Error
from assay.evaluate import power
from assay.evaluate.blocks import DAY
from assay.evaluate.evaluation import Evaluation, block_seconds, evaluate
from assay.evaluate.gate import Ruling, Verdict, judge
from assay.evaluate.paired import tango
from assay.evaluate.rows import Rows
from assay.project import declaration
from assay.project.declaration import Gate, GateRule
from tests.evaluate.make import binary, hours, regression, right_or_wrong

FIRST: Literal["pass-if-better-than-baseline"] = "pass-if-better-than-baseline"


def gate(metric: str, *, slices: bool = False, **rule: Any) -> Gate:
    return Gate(metrics={metric: GateRule(**rule)}, slices=slices)


def judged(rows: Rows, metric: str, **rule: Any) -> Verdict:
    return judge(evaluate(rows, [metric], base="base"), gate(metric, **rule))


def only(verdict: Verdict) -> Ruling:
    assert len(verdict.rulings) == 1
    return verdict.rulings[0]


def noisy(n: int, *, base: float, candidate: float, seed: int = 0) -> Rows:
    """Numbers around 100 whose errors have these sizes."""
    noise = np.random.default_rng(seed).normal(size=(2, n))
    target = np.full(n, 100.0)
    return regression(
        target, base=target + base * noise[0], candidate=target + candidate * noise[1]
    )


def test_a_better_candidate_passes():
    verdict = judged(noisy(500, base=10, candidate=5), "mae")

    assert (verdict.answer, verdict.exit_code) == ("pass", 0)
    assert only(verdict).improved


def test_a_worse_candidate_fails():
    verdict = judged(noisy(500, base=5, candidate=10), "mae")

    assert (verdict.answer, verdict.exit_code) == ("fail", 1)
    assert "worse by more than the margin" in verdict.reason


def test_a_close_candidate_is_inconclusive_and_says_what_is_needed():
    verdict = judged(noisy(200, base=10, candidate=10), "mae")

    assert (verdict.answer, verdict.exit_code) == ("inconclusive", 3)
    needed = only(verdict).needed
    assert needed is not None
    assert needed.rows_now == 200
    assert needed.rows is not None
    assert needed.rows > 200
    assert "smallest margin decidable now" in verdict.reason


def test_the_margin_is_the_larger_of_the_absolute_and_the_relative_one():
    rows = noisy(500, base=10, candidate=5)
    error = evaluate(rows, ["mae"], candidate="base").results[0].candidate.value

    assert only(judged(rows, "mae", max_drop=3, max_drop_relative=0)).margin == 3
    assert only(judged(rows, "mae", max_drop=3, max_drop_relative=0.5)).margin == error / 2
    assert only(judged(rows, "mae")).margin == pytest.approx(error / 100)


def test_the_lower_end_on_the_margin_passes():
    rows = right_or_wrong(50, 5, 5, 0)
    margin = -tango(5, 5, 60)[0]

    assert judged(rows, "accuracy", max_drop=margin, max_drop_relative=0).answer == "pass"
    assert judged(rows, "accuracy", max_drop=margin - 1e-9, max_drop_relative=0).answer != "pass"


@pytest.mark.parametrize(
    ("floor", "answer"), [(0.5, "pass"), (0.99, "fail"), (0.8, "inconclusive")]
)
def test_min_is_a_floor_for_the_lower_end(floor, answer):
    verdict = judged(right_or_wrong(160, 0, 0, 40), "accuracy", max_drop=0.2, min=floor)

    assert verdict.answer == answer


@pytest.mark.parametrize(
    ("ceiling", "answer"),
    [(9, "pass"), (-9, "pass"), (1, "fail"), (-1, "fail"), (3.8, "inconclusive")],
)
def test_min_of_a_loss_is_a_ceiling_for_the_upper_end(ceiling, answer):
    verdict = judged(noisy(500, base=10, candidate=5), "mae", min=ceiling)

    assert verdict.answer == answer


def test_no_base_is_inconclusive():
    rows = regression(np.arange(50.0), candidate=np.arange(50.0) + 1)

    verdict = judge(evaluate(rows, ["mae"]), gate("mae"))

    assert verdict.answer == "inconclusive"
    assert verdict.reason == "there is no base to compare with"


@pytest.mark.parametrize(("size", "answer"), [(5, "pass"), (20, "fail"), (10, "inconclusive")])
def test_the_first_model_has_to_beat_the_baseline(size, answer):
    rows = noisy(500, base=10, candidate=size, seed=3)
    alone = evaluate(rows, ["mae"])
    beside = evaluate(rows, ["mae"], base="base")

    verdict = judge(alone, Gate(metrics={"mae": GateRule()}, first=FIRST), baseline=beside)

    assert verdict.answer == answer
    assert verdict.first


def test_the_first_model_without_a_baseline_is_an_error():
    rows = noisy(100, base=10, candidate=5)

    with pytest.raises(Error, match="no baseline was evaluated"):
        judge(evaluate(rows, ["mae"]), Gate(metrics={"mae": GateRule()}, first=FIRST))


def test_a_metric_that_was_not_evaluated_is_an_error():
    with pytest.raises(Error, match="the gate asks for 'rmse', which was not evaluated"):
        judge(evaluate(noisy(100, base=10, candidate=5), ["mae"], base="base"), gate("rmse"))
    with pytest.raises(Error, match="the gate has no metric"):
        judge(evaluate(noisy(100, base=10, candidate=5), ["mae"], base="base"), Gate(metrics={}))


def in_slices() -> Evaluation:
    """A candidate that is far better on the whole and worse in one slice."""
    rng = np.random.default_rng(0)
    n, bad = 3000, np.arange(3000) < 300
    target = np.zeros(n)
    candidate = np.where(bad, 10, 1) * rng.normal(size=n)
    rows = regression(target, base=5 * rng.normal(size=n), candidate=candidate)
    slices = {"bad": bad, "good": ~bad, "tiny": np.arange(n) < 3, "none": np.zeros(n, dtype=bool)}
    return evaluate(rows, ["mae"], base="base", slices=slices)


def test_slices_are_for_information_unless_the_gate_asks_for_them():
    verdict = judge(in_slices(), gate("mae"))

    answers = {ruling.slice: (ruling.answer, ruling.decides) for ruling in verdict.rulings}
    assert verdict.answer == "pass"
    assert answers["bad"] == ("fail", False)


def test_a_gate_over_slices_asks_every_one():
    verdict = judge(in_slices(), gate("mae", slices=True))

    assert verdict.answer == "fail"
    assert "mae in bad" in verdict.reason


def test_a_slice_of_three_rows_is_listed_as_too_few_and_decides_nothing():
    evaluation = in_slices()
    verdict = judge(evaluation, gate("mae", slices=True))

    tiny = next(ruling for ruling in verdict.rulings if ruling.slice == "tiny")
    assert (tiny.answer, tiny.n_rows, tiny.decides) == ("too few", 3, False)
    none = evaluation.find("mae", "none")
    assert none is not None
    assert none.candidate.undefined == "no rows"


def test_p_values_of_slices_are_adjusted_for_their_number():
    evaluation = in_slices()
    bad = evaluation.find("mae", "bad")
    whole = evaluation.find("mae")

    assert bad is not None
    assert bad.comparison is not None
    assert bad.comparison.p_value is not None
    assert bad.p_holm is not None
    assert bad.p_holm >= bad.comparison.p_value
    assert whole is not None
    assert whole.p_holm is None


def test_no_rows_at_all_are_inconclusive():
    rows = regression([], base=[], candidate=[])

    assert judged(rows, "mae").answer == "inconclusive"


def test_one_class_is_inconclusive():
    verdict = judged(binary([1] * 50, base=[0.9] * 50, candidate=[0.8] * 50), "auc")

    assert verdict.answer == "inconclusive"
    assert "no row of class 0" in verdict.reason


def test_models_that_answer_alike_on_every_row_are_inconclusive():
    rows = regression(np.zeros(50), base=np.ones(50), candidate=np.ones(50))

    assert judged(rows, "mae", max_drop=5).answer == "inconclusive"


def test_too_few_days_say_how_many_are_needed():
    noise = np.random.default_rng(0).normal(size=(2, 96))
    rows = regression(np.zeros(96), base=noise[0], candidate=noise[1], time=hours(96))

    verdict = judge(evaluate(rows, ["mae"], base="base", block_seconds=DAY), gate("mae"))

    assert verdict.answer == "inconclusive"
    assert "4 blocks of 1 day, 7 are needed" in verdict.reason
    assert "4 days now, 7 days needed" in verdict.reason


def test_days_that_do_not_decide_say_how_many_would():
    noise = np.random.default_rng(0).normal(size=(2, 240))
    rows = regression(np.zeros(240), base=noise[0], candidate=noise[1], time=hours(240))

    verdict = judge(evaluate(rows, ["mae"], base="base", block_seconds=DAY), gate("mae"))

    needed = only(verdict).needed
    assert needed is not None
    assert needed.days is not None
    assert needed.days_now == 10
    assert needed.days > 10
    assert f"10 days now, {needed.days:,g} days needed, smallest margin" in verdict.reason
    assert "rows" not in verdict.reason


def test_a_margin_of_0_is_decided_by_no_number_of_rows():
    needed = only(judged(right_or_wrong(90, 4, 6, 0), "accuracy", max_drop_relative=0)).needed

    assert needed is not None
    assert needed.rows is None


@pytest.mark.parametrize(
    ("psi", "margin", "rows"),
    [(0.02, 0.01, 1954), (0.05, 0.02, 1174), (0.05, 0.05, 234), (0.02, 0.05, 140),
     (0.1, 0.02, 2155), (0.2, 0.05, 705), (0.0, 0.01, 381), (0.0, 0.05, 73)],
)  # fmt: skip
def test_rows_needed_are_those_of_the_specification(psi, margin, rows):
    found = power.rows_for_shares(psi, margin)

    assert found is not None
    assert rows <= found <= rows + 4


def test_the_smallest_margin_turns_the_rows_needed_around():
    for psi in (0.0, 0.02, 0.1):
        for margin in (0.01, 0.05):
            rows = power.rows_for_shares(psi, margin)
            assert rows is not None
            assert power.margin_for_shares(rows, psi) == pytest.approx(margin, rel=0.01)


def rates(draws: Iterable[np.ndarray], *, margin: float) -> Counter[str]:
    """How often the gate says what, of drawn numbers of rows that only one model has right."""
    answers = Counter[str]()
    seen: dict[tuple[int, int], str] = {}
    for only_candidate, only_base, same in draws:
        key = (int(only_candidate), int(only_base))
        if key not in seen:
            rows = right_or_wrong(int(same), *key, 0)
            seen[key] = judged(rows, "accuracy", max_drop=margin, max_drop_relative=0).answer
        answers[seen[key]] += 1
    return answers


def test_at_the_margin_50_rows_with_few_discordant_hardly_ever_pass():
    psi, margin = 0.02, 0.01
    shares = [(psi - margin) / 2, (psi + margin) / 2, 1 - psi]  # in truth worse by the margin

    found = rates(np.random.default_rng(0).multinomial(50, shares, size=4000), margin=margin)

    assert found["pass"] / 4000 <= 0.04


@pytest.mark.parametrize(("psi", "margin"), [(0.02, 0.01), (0.05, 0.05), (0.1, 0.02)])
def test_with_the_rows_needed_equal_models_pass_three_times_in_four(psi, margin):
    n = power.rows_for_shares(psi, margin)
    assert n is not None
    draws = np.random.default_rng(1).multinomial(n, [psi / 2, psi / 2, 1 - psi], size=1000)

    found = rates(draws, margin=margin)

    assert found["pass"] / 1000 >= 0.75


def test_at_the_margin_rows_in_time_order_hardly_ever_pass():
    rng = np.random.default_rng(3)
    n_days, passes, n_simulations = 28, 0, 200
    for _ in range(n_simulations):
        drift = np.repeat(rng.normal(size=n_days), 24) * 0.5
        rows = regression(
            np.zeros(n_days * 24),
            base=np.full(n_days * 24, 10.0),
            candidate=10.5 + drift + rng.normal(size=n_days * 24),  # worse by 0.5, the margin
            time=hours(n_days * 24),
        )
        evaluation = evaluate(rows, ["mae"], base="base", block_seconds=DAY)
        passes += (
            judge(evaluation, gate("mae", max_drop=0.5, max_drop_relative=0)).answer == "pass"
        )

    assert passes / n_simulations <= 0.06


def test_the_same_run_is_judged_alike():
    rows = noisy(300, base=10, candidate=9.5)

    assert evaluate(rows, ["rmse"], base="base", run="r") == evaluate(
        rows, ["rmse"], base="base", run="r"
    )


def test_a_model_that_the_rows_lack_is_an_error():
    with pytest.raises(Error, match="no answers of 'base'"):
        evaluate(regression([1.0], candidate=[1.0]), ["mae"], base="base")


def test_blocks_are_a_day_for_rows_with_a_time_unless_declared():
    def of(**keys: object) -> declaration.Evaluation:
        return declaration.Evaluation(table="t", metrics=["mae"], **keys)  # type: ignore[arg-type]

    assert block_seconds(of(), timed=True) == DAY
    assert block_seconds(of(), timed=False) is None
    assert block_seconds(of(blocks=None), timed=True) is None
    assert block_seconds(of(blocks="12h"), timed=True) == DAY / 2
    with pytest.raises(Error, match="blocks need a time"):
        block_seconds(of(blocks="1d"), timed=False)


def test_nothing_is_concluded_from_an_undefined_value():
    rows = binary([0, 1] * 30, base=[0.9] * 60, candidate=[0.1] * 60)

    verdict = judged(rows, "precision")

    assert verdict.answer == "inconclusive"
    assert "no row is predicted positive" in verdict.reason
    assert math.isnan(
        evaluate(binary([1] * 9, candidate=[0.9] * 9), ["auc"]).results[0].candidate.value
    )
