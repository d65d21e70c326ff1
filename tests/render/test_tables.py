from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.render.markdown import markdown_table
from assay.render.tables import format_change, format_number, text_table, width

cells = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=12)
tables = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        st.lists(cells, min_size=n, max_size=n),
        st.lists(st.lists(cells, min_size=n, max_size=n), max_size=5),
    )
)


def test_numbers_line_up_on_the_right_and_text_on_the_left():
    rows = [["out/a.json", "acc", "0.75", "+0.25"], ["m.yaml", "loss", "-", "-"]]

    assert text_table(["Path", "Metric", "HEAD", "Change"], rows).split("\n") == [
        "Path        Metric  HEAD  Change",
        "out/a.json  acc     0.75   +0.25",
        "m.yaml      loss       -       -",
    ]


@given(tables)
def test_no_cell_is_ever_cut(table):
    header, rows = table
    lines = text_table(header, rows).split("\n")

    for cells, line in zip([header, *rows], lines, strict=True):
        for cell in cells:
            assert cell.rstrip() in line


def test_wide_characters_take_two_columns():
    lines = text_table(["name", "n"], [["日本", "1"], ["abcd", "2"]]).split("\n")

    assert {width(line) for line in lines} == {7}


def test_a_value_cannot_steer_the_terminal():
    assert "\x1b" not in text_table(["tag"], [["\x1b[2J\nred"]])
    assert r"\x1b[2J\nred" in text_table(["tag"], [["\x1b[2J\nred"]])


def test_a_short_row_ends_in_empty_cells_and_a_long_one_is_refused():
    assert text_table(["a", "b"], [["x"]]) == "a  b\nx"
    with pytest.raises(ValueError, match="3 cells, the header has 2"):
        text_table(["a", "b"], [["1", "2", "3"]])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_rounded_number_is_near_and_keeps_its_whole_digits(value):
    shown = float(format_number(value))

    assert shown == pytest.approx(value, rel=5.1e-5)
    if abs(value) >= 1e5:
        assert abs(shown - value) <= max(0.5, abs(value) * 1e-15)


def test_numbers_that_are_none_show_as_what_they_are():
    assert [format_number(value) for value in (float("nan"), float("inf"), -0.0, "text")] == [
        "nan",
        "inf",
        "0",
        "text",
    ]
    assert format_change(True, 2) == "-"
    assert format_change(0.1, 0.1 + 1e-9) == "+1e-09"


def test_markdown_shows_every_cell_as_text():
    table = markdown_table(["a|b", "n"], [["*x* <script> `c` \\|", "1"], ["two\nlines", "-"]])

    header, rule, first, second = table.split("\n")
    assert header.startswith(r"| a\|b")
    assert rule.endswith("--: |")
    assert r"\*x\* &lt;script> \`c\` \\\|" in first
    assert "two lines" in second


@given(tables)
def test_markdown_rows_have_as_many_cells_as_the_header(table):
    header, rows = table
    lines = markdown_table(header, rows).split("\n")

    assert len(lines) == len(rows) + 2
    for line in lines:
        unescaped = line.replace("\\\\", "").replace("\\|", "")
        assert unescaped.count("|") == len(header) + 1
