"""A truth is what the declared model could have answered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from assay.base.errors import Error
from assay.project.declaration import Declaration
from assay.traffic import targets
from assay.traffic.targets import Targets


@pytest.mark.parametrize(
    ("classes", "given", "kept"),
    [
        ((0, 1), 1, 1),
        ((0, 1), 1.0, 1.0),
        ((0, 1), True, True),
        ((0, 1), "1", 1),
        (("busy", "calm"), "calm", "calm"),
        (("1", "2"), 2, "2"),
    ],
)
def test_a_class_is_taken_also_where_text_and_number_are_mixed_up(
    classes: tuple[Any, ...], given: Any, kept: Any
):
    found = Targets(task="binary", classes=classes).checked(given)
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("classes", "given", "said"),
    [
        ((0, 1), "yes", "'yes' is none of the classes 0, 1"),
        ((0, 1), 2, "2 is none of the classes 0, 1"),
        ((0, 1), 0.5, "0.5 is none of the classes"),
        ((0, 1), [1], "none of the classes"),
        (("busy", "calm"), "cal", "did you mean 'calm'?"),
        (tuple(range(99)), 100, "none of the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..."),
    ],
)
def test_what_is_no_class_is_refused_with_the_classes(
    classes: tuple[Any, ...], given: Any, said: str
):
    with pytest.raises(Error) as caught:
        Targets(task="multiclass", classes=classes).checked(given)
    assert said in str(caught.value)


@pytest.mark.parametrize("given", ["12", True, ["a"]])
def test_a_regression_has_numbers_as_truths(given: Any):
    expected = Targets(task="regression")
    assert expected.checked(12.5) == 12.5
    assert expected.checked([1, 2.5]) == [1, 2.5]
    with pytest.raises(Error, match="the truth of a regression is a number, not"):
        expected.checked(given)


@pytest.mark.parametrize(
    ("endpoint", "text", "expected"),
    [
        ("scores", "deploy: {endpoint: scores}", Targets(task="binary", classes=(0, 1))),
        ("other", "deploy: {endpoint: scores}", None),
        ("scores", "{}", None),
    ],
)
def test_only_the_declared_endpoint_has_the_declared_classes(
    endpoint: str, text: str, expected: Targets | None
):
    model = {"name": "m", "task": "binary", "target": "y", "classes": [0, 1]}
    given = {"model": model, **msgspec.yaml.decode(text)}
    assert targets.declared(msgspec.convert(given, Declaration), endpoint) == expected
