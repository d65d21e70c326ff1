"""Sketches against exact answers, and the fast way into HyperLogLog against the library's own."""

from __future__ import annotations

import base64

import datasketches
import numpy as np
import pytest

from assay.base.errors import Error
from assay.data import sketches
from assay.data.sketches import DistinctCounter, Sketch


def distinct(words: np.ndarray, *, parts: int = 1) -> Sketch:
    counter = DistinctCounter()
    for part in np.array_split(words.astype(np.uint64), parts):
        counter.add(part)
    return counter.sketch()


def fed_one_by_one(words: np.ndarray) -> float:
    kind = datasketches.tgt_hll_type.HLL_4
    sketch, union = datasketches.hll_sketch(12, kind), datasketches.hll_union(12)
    for word in words.tolist():
        sketch.update(word)
    union.update(sketch)
    union.update(sketch)
    return float(union.get_result(kind).get_estimate())


@pytest.mark.parametrize("n", [20_000, 150_000])
def test_the_winners_alone_give_the_sketch_that_all_values_give(n):
    words = np.random.default_rng(n).integers(0, 2**63, n)
    assert sketches.estimate_hll(distinct(words, parts=7)) == round(fed_one_by_one(words))


@pytest.mark.parametrize("n", [0, 1, 100, 5000])
def test_few_distinct_values_are_counted_closely(n):
    words = np.arange(n)
    assert sketches.estimate_hll(distinct(words)) == pytest.approx(n, rel=0.05)


def test_a_union_counts_what_is_in_both_once():
    a, b = np.arange(60_000), np.arange(30_000, 90_000)
    both = sketches.merge_hll(distinct(a), distinct(b))
    assert sketches.estimate_hll(both) == pytest.approx(90_000, rel=0.05)


def test_ranks_of_merged_quantiles_are_within_the_promised_error():
    values = np.random.default_rng(3).lognormal(size=100_000)
    merged = None
    for part in np.array_split(values, 20):
        kll = sketches.kll()
        kll.update(part)
        stored = sketches.dump_kll(kll)
        merged = stored if merged is None else sketches.merge_kll(merged, stored)
    assert merged is not None
    ranks = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]
    found = sketches.load_kll(merged).get_quantiles(ranks)
    true = np.searchsorted(np.sort(values), found) / len(values)
    assert np.abs(true - ranks).max() < 3 * 0.0133


def test_few_texts_are_counted_exactly_also_after_a_merge():
    a = sketches.frequent([("x", 5), ("", 2)])
    b = sketches.frequent([("x", 1), ("y", 9)])
    merged = sketches.merge_frequent(a, b)
    assert sketches.frequent_items(merged) == ([("y", 9), ("x", 6), ("", 2)], True)


def test_damaged_bytes_are_refused():
    good = distinct(np.arange(10))
    bad = Sketch(
        library="datasketches",
        version="0",
        kind="hll_4",
        parameters={},
        data=base64.b64encode(b"\x00\x01").decode(),
    )
    sketches.check(good, where="here")
    for broken in (bad, Sketch(library="", version="", kind="huh", parameters={}, data="")):
        with pytest.raises(Error):
            sketches.check(broken, where="here")
