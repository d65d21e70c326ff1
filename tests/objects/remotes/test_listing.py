"""Which keys are there is found out right, and by the shorter way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.objects.remotes import Entry
from assay.objects.remotes.listing import find_by_listing

PAGE = 50


def key(number: int) -> str:
    oid = hashlib.md5(str(number).encode()).hexdigest()
    return f"files/md5/{oid[:2]}/{oid[2:]}"


class Service:
    """Answers in pages and for single keys, and counts."""

    def __init__(self, keys: set[str]) -> None:
        self.keys = keys
        self.n_pages = self.n_asked = 0

    def pages(self, folder: str, after: str) -> Iterator[list[Entry]]:
        below = sorted(k for k in self.keys if k.startswith(f"{folder}/") and k > after)
        for start in range(0, len(below), PAGE):
            self.n_pages += 1
            yield [Entry(k) for k in below[start : start + PAGE]]

    def ask(self, keys: set[str]) -> set[str]:
        self.n_asked += len(keys)
        return keys & self.keys


numbers = st.sets(st.integers(0, 3000), max_size=400)


@given(there=numbers, asked=st.sets(st.integers(0, 3000), min_size=1, max_size=400), split=...)
def test_the_answer_is_the_intersection(there: set[int], asked: set[int], split: bool):
    service = Service({key(n) for n in there} | {"files/md5/readme", "runs/x"})
    wanted = {key(n) for n in asked} | {"files/md5/readme"}
    assert find_by_listing(wanted, service.pages, service.ask, split=split) == (
        wanted & service.keys
    )


@pytest.mark.parametrize("split", [False, True])
def test_many_keys_of_a_remote_are_listed(split: bool):
    service = Service({key(n) for n in range(1000)})
    find_by_listing({key(n) for n in range(2000)}, service.pages, service.ask, split=split)
    assert service.n_asked == 0
    assert service.n_pages <= 20 + 8


def test_a_few_keys_of_a_large_remote_are_asked_for():
    service = Service({key(n) for n in range(20_000)})
    find_by_listing({key(n) for n in range(100)}, service.pages, service.ask, split=True)
    assert service.n_asked <= 100
    assert service.n_pages == 1


def test_a_large_remote_is_listed_in_parts_that_do_not_overlap_much():
    service = Service({key(n) for n in range(5000)})
    wanted = {key(n) for n in range(3000, 7000)}
    found = find_by_listing(wanted, service.pages, service.ask, split=True)
    assert found == {key(n) for n in range(3000, 5000)}
    assert service.n_asked == 0
    assert service.n_pages <= 100 + 2 * 8
