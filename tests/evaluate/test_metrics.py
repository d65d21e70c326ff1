"""Metrics are scikit-learn's, and say so where there is no value."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from assay.base.errors import Error, NotFound, Usage
from assay.evaluate.metrics import get, known, measure
from assay.evaluate.rows import Rows
from tests.evaluate.make import (
    B_FIRST,
    B_TRUE,
    M_GIVEN,
    M_PREDICTED,
    M_TRUE,
    R_PREDICTED,
    R_TRUE,
    binary,
    multiclass,
    regression,
)

SAME: dict[str, Any] = {"rel": 1e-12, "abs": 1e-12}


def value(rows: Rows, name: str) -> float:
    found = measure(get(name, task=rows.task), rows.view("candidate"))
    assert not found.undefined
    return found.value


def undefined(rows: Rows, name: str) -> tuple[float, str]:
    found = measure(get(name, task=rows.task), rows.view("candidate"))
    assert found.undefined
    return found.value, found.undefined


REGRESSION = {
    "mae": sk.mean_absolute_error,
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "r2": sk.r2_score,
    "explained_variance": sk.explained_variance_score,
    "median_absolute_error": sk.median_absolute_error,
    "max_error": sk.max_error,
    "mape": sk.mean_absolute_percentage_error,
}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("mae", 0.4833333333),
        ("mse", 0.3183333333),
        ("rmse", 0.5642103627),
        ("r2", 0.9520502092),
        ("explained_variance", 0.9554393305),
        ("median_absolute_error", 0.5),
        ("max_error", 1.0),
    ],
)
def test_numbers_have_the_values_of_the_specification(name, wanted):
    assert value(regression(R_TRUE, candidate=R_PREDICTED), name) == pytest.approx(
        wanted, abs=1e-10
    )


@pytest.mark.parametrize(
    ("name", "wanted"), [("msle", 0.0186071177), ("poisson_deviance", 0.0959308999)]
)
def test_positive_numbers_have_the_values_of_the_specification(name, wanted):
    target, predicted = np.abs(R_TRUE) + 1, np.abs(R_PREDICTED) + 1

    assert value(regression(target, candidate=predicted), name) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("accuracy", 0.75),
        ("balanced_accuracy", 0.75),
        ("precision", 0.7142857142857143),
        ("recall", 0.8333333333333334),
        ("f1", 0.7692307692307693),
        ("mcc", 0.50709255283711),
        ("kappa", 0.5),
        ("auc", 0.8194444444444445),
        ("average_precision", 0.8432900432900433),
        ("log_loss", 0.5172390438606679),
        ("brier", 0.175),
    ],
)
def test_two_classes_have_the_values_of_the_specification(name, wanted):
    assert value(binary(B_TRUE, candidate=B_FIRST), name) == pytest.approx(wanted, **SAME)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("precision", 0.6555556),
        ("precision_micro", 0.6666667),
        ("precision_weighted", 0.6805556),
        ("recall_macro", 0.6555556),
        ("f1_macro", 0.6476190),
        ("f1_weighted", 0.6666667),
        ("mcc", 0.5),
        ("kappa", 0.49473684),
        ("balanced_accuracy", 0.65555556),
        ("log_loss", 0.67805114),
        ("brier", 0.385),
        ("auc", 0.9198026896),
    ],
)
def test_three_classes_have_the_values_of_the_specification(name, wanted):
    rows = multiclass(M_TRUE, M_PREDICTED, M_GIVEN)

    assert value(rows, name) == pytest.approx(wanted, abs=1e-7)


numbers = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=60))
def test_metrics_of_numbers_are_scikit_learns(pairs):
    target, predicted = map(np.array, zip(*pairs, strict=True))
    rows = regression(target, candidate=predicted)

    for name, oracle in REGRESSION.items():
        if name in {"r2", "explained_variance"} and len(set(target)) == 1:
            continue  # scikit-learn divides by what rounding leaves: r2 of 0.047 thrice is -5e31
        wanted = oracle(target, predicted)
        found = measure(get(name, task="regression"), rows.view("candidate")).value
        assert found == pytest.approx(wanted, **SAME), name


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=60))
def test_metrics_of_two_classes_are_scikit_learns(pairs):
    target = np.array([pair[0] for pair in pairs])
    scores = np.array([pair[1] / 20 for pair in pairs])
    rows, predicted = binary(target, candidate=scores), (scores >= 0.5).astype(int)
    wanted = {
        "accuracy": sk.accuracy_score(target, predicted),
        "precision": sk.precision_score(target, predicted, zero_division=0),
        "recall": sk.recall_score(target, predicted, zero_division=0),
        "f1": sk.f1_score(target, predicted, zero_division=0),
        "f1_macro": sk.f1_score(
            target, predicted, average="macro", labels=[0, 1], zero_division=0
        ),
        "log_loss": sk.log_loss(target, scores, labels=[0, 1]),
        "brier": sk.brier_score_loss(target, scores),
    }
    if target.any():
        wanted["average_precision"] = sk.average_precision_score(target, scores)
    if 0 < target.sum() < len(target):
        wanted["auc"] = sk.roc_auc_score(target, scores)
        wanted["mcc"] = sk.matthews_corrcoef(target, predicted)
        wanted["kappa"] = sk.cohen_kappa_score(target, predicted)
        wanted["balanced_accuracy"] = sk.balanced_accuracy_score(target, predicted)

    for name, oracle in wanted.items():
        found = measure(get(name, task="binary"), rows.view("candidate")).value
        assert found == pytest.approx(oracle, **SAME), name


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 60), st.integers(3, 5))
def test_metrics_of_many_classes_are_scikit_learns(seed, n, k):
    rng = np.random.default_rng(seed)
    target = np.concatenate([np.arange(k), rng.integers(0, k, max(n - k, 0))])
    given_ = rng.dirichlet(np.ones(k), len(target))
    predicted = given_.argmax(axis=1)
    rows, labels = multiclass(target, predicted, given_, n_classes=k), list(range(k))
    wanted = {
        f"{name}_{average}": score(
            target, predicted, average=average, labels=labels, zero_division=0
        )
        for name, score in (
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        )
        for average in ("macro", "weighted", "micro")
    }
    wanted |= {
        "accuracy": sk.accuracy_score(target, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(target, predicted),
        "mcc": sk.matthews_corrcoef(target, predicted),
        "kappa": sk.cohen_kappa_score(target, predicted),
        "log_loss": sk.log_loss(target, given_, labels=labels),
        "brier": sk.brier_score_loss(target, given_, labels=labels),
        "auc": sk.roc_auc_score(target, given_, multi_class="ovr", labels=labels),
        "average_precision": sk.average_precision_score(target, given_),
    }

    for name, oracle in wanted.items():
        found = measure(get(name, task="multiclass"), rows.view("candidate")).value
        assert found == pytest.approx(oracle, **SAME), name


def test_no_predicted_positive_leaves_precision_undefined_with_the_value_0():
    assert undefined(binary([0, 1], candidate=[0.1, 0.2]), "precision") == (
        0.0,
        "no row is predicted positive",
    )


def test_no_positive_at_all_leaves_f1_and_recall_undefined_with_the_value_0():
    rows = binary([0, 0], candidate=[0.1, 0.2])

    assert undefined(rows, "f1")[0] == 0.0
    assert undefined(rows, "recall") == (0.0, "no row is positive")


def test_a_class_without_a_hit_has_an_f1_of_0_that_counts():
    assert value(binary([0, 1], candidate=[0.9, 0.1]), "f1") == 0.0


def test_one_class_leaves_auc_without_a_value():
    found, why = undefined(binary([1, 1], candidate=[0.1, 0.2]), "auc")

    assert math.isnan(found)
    assert why == "no row of class 0"


def test_one_class_has_a_log_loss_and_a_brier_score():
    rows = binary([1, 1], candidate=[0.5, 0.5])

    assert value(rows, "log_loss") == pytest.approx(math.log(2))
    assert value(rows, "brier") == 0.25


def test_one_class_gives_mcc_0_and_one_label_leaves_kappa_without_a_value():
    rows = binary([1, 1], candidate=[0.9, 0.9])

    assert undefined(rows, "mcc")[0] == 0.0
    assert math.isnan(undefined(rows, "kappa")[0])


def test_constant_predictions_give_mcc_0():
    assert value(binary([0, 1], candidate=[0.9, 0.9]), "mcc") == 0.0


def test_balanced_accuracy_ignores_a_class_that_is_only_predicted():
    rows = multiclass([0, 0, 1, 1], [0, 2, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = sk.balanced_accuracy_score([0, 0, 1, 1], [0, 2, 1, 1])

    assert value(rows, "balanced_accuracy") == wanted == 0.75


def test_macro_averages_count_a_class_of_the_signature_that_the_rows_lack():
    found = measure(get("f1", task="multiclass"), multiclass([0, 1], [0, 1]).view("candidate"))

    assert found.value == pytest.approx(2 / 3)
    assert found.note == "1 classes count as 0 for lack of rows"


def test_a_probability_of_0_for_the_truth_costs_36_nats():
    assert value(binary([1], candidate=[0.0]), "log_loss") == pytest.approx(36.04365, abs=1e-5)


def test_tied_scores_give_an_auc_of_a_half():
    assert value(binary([0, 1, 1], candidate=[0.5, 0.5, 0.5]), "auc") == 0.5


def test_tied_scores_give_the_share_of_positives_as_average_precision():
    rows = binary([0, 1, 1, 0, 1], candidate=[0.5] * 5)

    assert value(rows, "average_precision") == pytest.approx(0.6, **SAME)


def test_no_positive_leaves_average_precision_without_a_value():
    found, why = undefined(binary([0, 0], candidate=[0.1, 0.2]), "average_precision")

    assert math.isnan(found)
    assert why == "no row of class 1"


def test_positives_alone_have_an_average_precision_of_1():
    assert value(binary([1, 1], candidate=[0.1, 0.2]), "average_precision") == 1.0


def test_a_class_without_a_row_leaves_average_precision_without_a_value():
    rows = multiclass([0, 1, 0], [0, 1, 1], [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])

    assert undefined(rows, "average_precision")[1] == "no row of class 2"


def test_a_constant_target_gives_r2_1_or_0_and_says_so():
    exact, off = regression([2, 2], candidate=[2, 2]), regression([2, 2], candidate=[2, 3])

    assert undefined(exact, "r2") == (1.0, "the target is constant")
    assert undefined(off, "r2")[0] == undefined(off, "explained_variance")[0] == 0.0


def test_one_row_leaves_r2_without_a_value():
    assert math.isnan(undefined(regression([2], candidate=[2]), "r2")[0])


def test_no_rows_are_said_to_be_none():
    assert undefined(regression([], candidate=[]), "mae")[1] == "no rows"


def test_metrics_of_probabilities_say_that_a_model_gives_none():
    rows = multiclass([0, 1, 2], [0, 1, 2])

    assert undefined(rows, "log_loss")[1] == "the model gives no probabilities"


@pytest.mark.parametrize(
    ("name", "target", "predicted"),
    [("msle", [-1, 1], [1, 1]), ("poisson_deviance", [0, 1], [0, 1])],
)
def test_a_metric_refuses_what_is_out_of_its_range(name, target, predicted):
    with pytest.raises(Error, match="1 of 2 rows"):
        measure(
            get(name, task="regression"), regression(target, candidate=predicted).view("candidate")
        )


def test_a_percentage_of_0_is_huge_and_no_error():
    assert value(regression([0, 1], candidate=[1, 1]), "mape") == pytest.approx(2.25e15, rel=0.01)


def test_percentages_of_nothing():
    assert value(regression([0, 1], candidate=[0, 3]), "smape") == 50.0
    assert value(regression([1, 3], candidate=[2, 3]), "wape") == 0.25
    assert math.isnan(undefined(regression([0], candidate=[1]), "wape")[0])


@pytest.mark.parametrize(
    ("name", "near"),
    [("rmsee", "rmse"), ("mean_absolute_error", "mae"), ("r2_score", "r2")],
)
def test_an_unknown_metric_gets_the_nearest_name(name, near):
    with pytest.raises(NotFound) as raised:
        get(name, task="regression")

    assert raised.value.hint == f"did you mean '{near}'?"


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(Usage, match="'f1' is for binary models"):
        get("f1", task="regression")


def test_losses_are_better_small():
    assert {m.name for m in known("binary").values() if not m.larger_is_better} == {
        "log_loss",
        "brier",
    }
