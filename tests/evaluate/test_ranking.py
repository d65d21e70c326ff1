"""How sure an average precision is: what each row moves it by, for one model and for two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from assay.base.errors import NotFound
from assay.evaluate.compare import compare
from assay.evaluate.intervals import estimate
from assay.evaluate.metrics import Metric, get
from tests.evaluate.make import binary, hours, multiclass

AP = get("average_precision", task="binary")
DAY = 86_400


def influence(metric: Metric, view: Any) -> Any:
    assert metric.influence is not None
    return metric.influence(view)


def drawn(
    rng: np.random.Generator, n: int, *, share: float, apart: float, n_models: int = 1
) -> tuple[Any, Any]:
    """Return a target and scores of models that are equally good."""
    target = (rng.random(n) < share).astype(int)
    common = rng.normal(size=n)
    noise = 0.7 * common + math.sqrt(1 - 0.49) * rng.normal(size=(n_models, n))
    return target, 1 / (1 + np.exp(-(noise + apart * target)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=60))
def test_what_rows_move_an_average_precision_by_sums_to_0(pairs: list[tuple[int, int]]):
    target = np.array([pair[0] for pair in pairs])
    if target.any():
        rows = binary(target, candidate=np.array([pair[1] / 9 for pair in pairs]))
        assert influence(AP, rows.view("candidate")).sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("digits", [1, 6])
def test_a_row_moves_an_average_precision_by_what_a_little_more_weight_on_it_does(digits: int):
    target, (scores,) = drawn(np.random.default_rng(3), 80, share=0.3, apart=1.0)
    scores = scores.round(digits)

    def weighted(row: int, more: float) -> Any:
        weights = np.ones(80)
        weights[row] += more
        return average_precision_score(target, scores, sample_weight=weights)

    found = influence(AP, binary(target, candidate=scores).view("candidate"))
    slopes = [(weighted(row, 1e-4) - weighted(row, -1e-4)) / 2e-4 for row in range(80)]
    assert found == pytest.approx(slopes, abs=1e-9)


def test_of_many_classes_a_row_moves_the_mean_over_them():
    rng = np.random.default_rng(5)
    target, probabilities = rng.integers(0, 3, 90), rng.dirichlet(np.ones(3), 90)
    rows = multiclass(target, probabilities.argmax(axis=1), probabilities)
    one_by_one = [
        influence(AP, binary(target == c, candidate=probabilities[:, c]).view("candidate"))
        for c in range(3)
    ]
    metric = get("average_precision", task="multiclass")
    found = influence(metric, rows.view("candidate"))
    assert found == pytest.approx(sum(one_by_one) / 3, abs=1e-15)


def test_the_interval_of_an_average_precision_covers_it_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    target, (scores,) = drawn(rng, 400_000, share=0.15, apart=1.5)
    true = average_precision_score(target, scores)
    covered = 0
    for _ in range(400):
        target, (scores,) = drawn(rng, 400, share=0.15, apart=1.5)
        found = estimate(AP, binary(target, candidate=scores).view("candidate")).interval
        assert found.low is not None
        assert found.high is not None
        assert 0 < found.low < found.high < 1
        covered += found.low <= true <= found.high
    assert covered / 400 > 0.91


def test_of_two_equal_models_one_is_seldom_found_better():
    rng = np.random.default_rng(1)
    better = 0
    for _ in range(400):
        target, (base, candidate) = drawn(rng, 400, share=0.15, apart=1.5, n_models=2)
        rows = binary(target, base=base, candidate=candidate)
        found = compare(AP, rows.view("base"), rows.view("candidate"))
        assert found.interval.low is not None
        better += found.improved
    assert better / 400 < 0.05  # 0.025 is what is said


def test_days_that_differ_make_the_interval_of_an_average_precision_wider():
    rng = np.random.default_rng(2)
    target, (scores,) = drawn(rng, 30 * 24, share=0.4, apart=1.0)
    day = np.repeat(rng.normal(size=30), 24) * target * 0.2
    view = binary(target, time=hours(30 * 24), candidate=(scores + day).clip(0, 1)).view(
        "candidate"
    )
    in_blocks, alone = estimate(AP, view, block_seconds=DAY), estimate(AP, view)
    assert in_blocks.interval.n_blocks == 30
    assert in_blocks.interval.error is not None
    assert alone.interval.error is not None
    assert in_blocks.interval.error > alone.interval.error


def test_an_average_precision_of_few_positives_or_of_classes_apart_has_no_interval():
    few = binary([0] * 50 + [1] * 19, candidate=np.linspace(0, 1, 69))
    apart = binary([0] * 30 + [1] * 30, candidate=np.linspace(0, 1, 60))
    alone = binary([1] * 30, candidate=np.linspace(0, 1, 30))

    assert "too few: 19 rows" in estimate(AP, few.view("candidate")).interval.why_not
    assert "degenerate" in estimate(AP, apart.view("candidate")).interval.why_not
    assert "too few: 0 rows" in estimate(AP, alone.view("candidate")).interval.why_not


def test_the_long_name_of_scikit_learn_leads_to_the_metric():
    with pytest.raises(NotFound) as raised:
        get("average_precision_score", task="binary")

    assert raised.value.hint == "did you mean 'average_precision'?"
