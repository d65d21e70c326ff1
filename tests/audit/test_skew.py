"""Logged features are held against what a later run made of the same row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from assay.audit import skew
from assay.audit.skew import Compared
from assay.audit.subject import Subject
from assay.pipeline import kept
from tests.audit import built, removing

HOUR = 24 * built.N_DAYS + 30
N_ASKED = 24 * built.N_ASKED


def compared(root: Path) -> Compared:
    with built.ledger(root) as ledger:
        found = skew.compare(Subject(built.project(root), ledger))
    assert found is not None
    return found


def test_every_row_that_was_asked_is_held_against_the_later_run(root: Path):
    found = compared(root)

    assert (found.table, found.n_rows, found.n_columns) == ("features", N_ASKED, 3)
    assert found.run == removing.training(root).parent
    assert found.differences == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"wind": built.row(HOUR)["wind"] * (1 + 1e-12)}, []),
        ({"wind": built.row(HOUR)["wind"] * (1 + 1e-6)}, ["wind"]),
        ({"wind": None}, ["wind"]),
        ({"wind": math.nan, "last": math.nan}, ["wind", "last"]),
        ({"hour": (HOUR + 1) % 24}, ["hour"]),
    ],
)
def test_a_row_differs_in_the_columns_that_are_not_equal(
    root: Path, changes: dict[str, Any], expected: list[str]
):
    removing.log(root, HOUR, **changes)

    found = compared(root)

    assert found.n_rows == N_ASKED + 1
    assert [one.column for one in found.differences] == expected
    assert {one.n_rows for one in found.differences} <= {1}
    assert {one.key for one in found.differences} <= {built.at(HOUR)}


def test_what_was_asked_after_the_run_began_is_not_held_against_it(root: Path):
    removing.log(root, HOUR, seconds=60, wind=99.0)

    assert compared(root).n_rows == N_ASKED


def test_a_row_that_the_table_does_not_have_is_passed_by(root: Path):
    removing.log(root, HOUR, at="2013-01-01T00:00:00", wind=99.0)

    assert compared(root).n_rows == N_ASKED


def test_a_table_that_is_gone_from_both_stores_tells_nothing(root: Path):
    project = built.project(root)
    for store in (project.cache, kept.store(project)):
        for oid in list(store):
            store.remove(oid)

    with built.ledger(root) as ledger:
        assert skew.compare(Subject(project, ledger)) is None
