"""The public names of `assay`: one sorted list, all there, all documented."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import assay

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"


def test_the_public_names_are_sorted_and_each_is_named_once():
    assert list(assay.__all__) == sorted(set(assay.__all__))
    assert dir(assay) == assay.__all__


@pytest.mark.parametrize("name", assay.__all__)
def test_a_public_name_is_there_and_documented(name):
    thing = getattr(assay, name)
    assert f"### `assay.{name}" in REFERENCE.read_text(encoding="utf-8")
    if not isinstance(thing, str):
        assert inspect.getdoc(thing)


def test_a_type_checker_sees_the_same_names():
    text = Path(assay.__file__).read_text(encoding="utf-8")
    block = text.partition("if TYPE_CHECKING:\n")[2].partition("\n\n")[0]
    seen = set(block.replace(",", " ").replace("(", " ").replace(")", " ").split())
    assert {name for name in assay.__all__ if name != "__version__"} <= seen


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="has no attribute 'log_metrix'"):
        assay.log_metrix  # noqa: B018 -- touching it is the test
