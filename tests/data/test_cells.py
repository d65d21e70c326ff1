"""Cells hold every row once, whatever the column and whosever the edges."""

from __future__ import annotations

import pytest

from assay.base.errors import Error
from assay.data.cells import Cells, add, own_cells, recount


def test_intervals_without_a_value_join_their_neighbour():
    cells = own_cells([0.0, 1.0, 2.0, 3.0], [1, 0, 30, 0], [1, 0, 0, 0], n=40)
    assert (cells.edges, cells.inside) == ((0.0, 1.0, 3.0), (1, 30))


def test_a_heavy_value_has_a_cell_and_leaves_its_interval():
    cells = own_cells([0, 1, 9], [90, 5, 5], [90, 1, 1], n=100)
    assert (cells.values, cells.at) == ((0,), (90,))
    assert (cells.edges, cells.inside) == ((0, 1, 9), (5, 5))


def test_a_constant_column_has_one_value_and_no_interval():
    cells = own_cells([7], [50], [50], n=50)
    assert (cells.edges, cells.values, cells.at, cells.inside) == ((7,), (7,), (50,), ())


def test_a_recount_puts_each_value_below_inside_on_or_above():
    on = Cells(edges=(0, 10, 20), values=(5, 20), inside=(1, 1), at=(1, 1))
    # the values -1, 0, 5, 5, 10, 11, 20, 21 and 22
    cells = recount(on, [2, 3, 2], 1, at=[2, 1], n=9)
    assert (cells.below, cells.inside, cells.at, cells.above) == (1, (2, 1), (2, 1), 2)
    assert sum(cells.counts) == 9


def test_labels_and_counts_go_together():
    cells = Cells(edges=(0, 1), values=(0,), inside=(2,), at=(3,), below=4, above=5, nan=6)
    named = dict(zip(cells.labels, cells.counts, strict=True))
    assert named["<0"] == 4
    assert named["0 to 1"] == 2
    assert named["(NaN)"] == 6


def test_counts_on_other_edges_do_not_add_up():
    with pytest.raises(Error, match="--edges"):
        add(Cells(edges=(0, 1), inside=(1,)), Cells(edges=(0, 2), inside=(1,)), where="x")
