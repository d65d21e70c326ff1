"""Parameter files say the same to us as to DVC, and a key finds what it finds there."""

from __future__ import annotations

from typing import Any

import pytest

from assay.base.errors import Error
from assay.project import params


def parse(text: str, suffix: str) -> Any:
    return params.parse(text, suffix=suffix, where=f"params{suffix}")


PYTHON = '''
A = 1
B: int = 2
C: int
x = y = 3
D = {"a": 1, "b": {"c": (1, 2)}}
E = {"a": f(1)}
F = -1.5
G = 1 + 2
H = None
I, J = 1, 2
K = [1, (2, 3)]
L = {[]: 1}
class X:
    """A text."""
    a = 1
    b: float = 2.5
    class Y:
        c = 3
    def __init__(self, q=4):
        self.d = 5
        local = 6
        self.f: int = 7
        if True:
            self.g = 8
    def other(self):
        self.h = 1
def __init__(self):
    local = 2
if True:
    M = 1
'''


def test_of_a_python_file_literals_count_and_nothing_is_run():
    assert parse(PYTHON, ".py") == {
        "A": 1, "B": 2, "D": {"a": 1, "b": {"c": [1, 2]}}, "F": -1.5, "H": None, "K": [1, [2, 3]],
        "X": {"a": 1, "b": 2.5, "Y": {"c": 3}, "d": 5, "f": 7},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "a: {b: [1, x, true, null]}\nc: 1e-4\n"),
        (".yml", "a: {b: [1, x, true, null]}\nc: 1e-4\n"),
        ("", "a: {b: [1, x, true, null]}\nc: 1e-4\n"),
        (".json", '{"a": {"b": [1, "x", true, null]}, "c": 1e-4}'),
        (".py", 'a = {"b": [1, "x", True, None]}\nc = 1e-4\n'),
    ],
)
def test_the_suffix_tells_the_format(suffix: str, text: str):
    assert parse(text, suffix) == {"a": {"b": [1, "x", True, None]}, "c": 1e-4}


def test_toml_is_read_and_its_dates_are_text():
    text = "c = 0.5\nd = 2026-01-31\n[a]\nb = [1, 'x']\nt = 2026-01-31T10:00:00Z\n"
    assert parse(text, ".toml") == {
        "c": 0.5, "d": "2026-01-31", "a": {"b": [1, "x"], "t": "2026-01-31T10:00:00+00:00"},
    }  # fmt: skip


DATA: dict[str, Any] = {
    "train": {"layers": [8, {"n": 4}], "0": "text"},
    "classes": {0: "cat", 10: "dog"},
    "a.b": 1,
    "7": "seven",
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.layers.0", 8),
        ("train.layers.-1.n", 4),
        ("train.layers.1.n", 4),
        ("train.0", "text"),
        ("classes.0", "cat"),
        ("classes.10", "dog"),
        ("7", "seven"),
    ],
)
def test_a_key_leads_through_names_and_numbers(key: str, value: Any):
    assert params.get(DATA, key) == value


@pytest.mark.parametrize(
    "key", ["train.layers.2", "train.layers.x", "train.layers.-3", "a.b", "classes.1", "7.x", "zz"]
)
def test_a_key_that_leads_nowhere_finds_nothing(key: str):
    with pytest.raises(KeyError):
        params.get(DATA, key)
    assert params.select(DATA, [key, "7"]) == {"7": "seven"}


@pytest.mark.parametrize(
    ("suffix", "text", "where"),
    [
        (".yaml", "a: 1\na: 2\n", "params.yaml:2"),
        (".json", '{"a":\n 1,}', "params.json:2"),
        (".toml", "a = 1\nb =\n", "params.toml:2"),
        (".py", "a = 1\nb = (\n", "params.py:2"),
    ],
)
def test_a_file_that_does_not_parse_is_named_with_its_line(suffix: str, text: str, where: str):
    with pytest.raises(Error) as caught:
        parse(text, suffix)
    assert caught.value.where == where


def test_what_aliases_name_again_and_again_is_looked_at_once():
    lines = ["a0: &a0 [2026-01-31]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60)]
    data = parse("\n".join(lines), ".yaml")
    assert data["a0"] == ["2026-01-31"]
    assert data["a1"][0] is data["a0"]
