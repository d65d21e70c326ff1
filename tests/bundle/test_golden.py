"""Golden examples are the same whatever the order of the rows; a model that strays is named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.bundle import golden
from assay.bundle.golden import Golden, Mismatch
from assay.bundle.load import load
from tests.bundle import trained

ROWS = st.lists(st.tuples(st.integers(-50, 50), st.sampled_from("abc")), min_size=1, max_size=200)


@given(ROWS)
def test_the_rows_with_the_smallest_hashes_are_chosen_each_once(rows):
    columns = {
        "n": np.array([row[0] for row in rows]),
        "c": np.array([row[1] for row in rows], object),
    }
    digests = {
        hashlib.sha256(json.dumps({"c": c, "n": n}, separators=(",", ":")).encode()).digest(): (
            n,
            c,
        )
        for n, c in rows
    }
    expected = [digests[digest] for digest in sorted(digests)[:20]]
    assert [rows[place] for place in golden.choose(columns)] == expected


def answers(values: Any) -> Any:
    return lambda _: {"predict": np.asarray(values)}


RECORDED = Golden(inputs={"a": [1, 2, 3]}, outputs={"predict": [1.0, 0.0, 1e6]})


def test_equal_bits_are_reported_and_rounding_is_allowed():
    exact = golden.prove(RECORDED, answers([1.0, 0.0, 1e6]), where="g")
    assert (exact.bit_equal, exact.largest) == (True, 0.0)
    near = golden.prove(RECORDED, answers([1.0 + 1e-10, 1e-9, 1e6]), where="g")
    assert not near.bit_equal
    assert 0 < near.largest < 1e-8


@pytest.mark.parametrize(
    "found", [[1.0 + 1e-7, 0.0, 1e6], [1.0, 1e-3, 1e6], [1.0, float("nan"), 1e6], [1.0, 0.0]]
)
def test_an_answer_that_differs_is_named(found):
    with pytest.raises(Mismatch, match=r"golden example \d of 3: 'predict' is"):
        golden.prove(RECORDED, answers(found), where="g")


def test_classes_have_to_be_the_same():
    recorded = Golden(inputs={}, outputs={"predict": ["busy", "calm"]})
    same = np.array(["busy", "calm"], object)
    assert golden.prove(recorded, answers(same), where="g").bit_equal
    with pytest.raises(
        Mismatch, match="golden example 2 of 2: 'predict' is busy, recorded is calm"
    ):
        golden.prove(recorded, answers(np.array(["busy", "busy"], object)), where="g")
    with pytest.raises(Mismatch, match="True, recorded is 1"):
        golden.prove(Golden(inputs={}, outputs={"predict": [1]}), answers([True]), where="g")


def test_a_bundle_whose_model_answers_otherwise_is_not_opened(tmp_path: Path):
    bundle = trained.bundle(tmp_path / "bundle")
    outputs = bundle.golden.outputs["predict"]
    changed = Golden(
        inputs=bundle.golden.inputs, outputs={"predict": [*outputs[:6], 12.5, *outputs[7:]]}
    )
    trained.rewrite(tmp_path / "bundle", golden=golden.dump(changed))
    with pytest.raises(
        Mismatch, match=r"golden example 7 of 20: 'predict' is .*recorded is 12\.5"
    ):
        load(tmp_path / "bundle")


def test_examples_that_the_model_cannot_take_are_an_error(tmp_path: Path):
    trained.bundle(tmp_path / "bundle")
    for content in (b"{}", b"[", golden.dump(Golden(inputs={"x": [1]}, outputs={"predict": [1]}))):
        trained.rewrite(tmp_path / "bundle", golden=content)
        with pytest.raises(Error):
            load(tmp_path / "bundle")
