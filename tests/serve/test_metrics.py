"""What is counted is what was seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.serve.metrics import BUCKETS, Counter, Histogram


@given(st.lists(st.floats(0, 20)))
def test_each_bucket_has_all_durations_up_to_its_edge(seconds):
    histogram = Histogram("d", "Durations.", "route")
    for one in seconds:
        histogram.add(one, "a")
    lines = [line for line in histogram.lines() if "_bucket" in line]
    counts = [int(line.split()[-1]) for line in lines]
    if seconds:
        edges = [*BUCKETS, float("inf")]
        assert counts == [sum(one <= edge for one in seconds) for edge in edges]
        assert f'd_count{{route="a"}} {len(seconds)}' in histogram.lines()
    else:
        assert counts == []


def test_a_label_s_value_is_escaped():
    counter = Counter("n", "Numbers.", "name")
    counter.add('a"b\\c\nd')
    assert list(counter.lines())[-1] == 'n{name="a\\"b\\\\c\\nd"} 1'
