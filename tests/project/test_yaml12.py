from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from assay.base.errors import Error, NotFound
from assay.project import yaml12


def ruamel(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def load(text: str) -> Any:
    return yaml12.load(text, where="f.yaml")


def form(value: Any) -> Any:
    """Return what must be equal: types, order, and moments without the name of their zone."""
    if isinstance(value, dict):
        return [(form(key), form(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(form, value)]
    return value.isoformat() if isinstance(value, dt.datetime) else repr(value)


SCALARS = """yes no on off Yes true True TRUE false tRue ~ null Null NULL nULL 0 -0 +1 010 0o17
0x1F 0b101 -0x1f 1_000 1__0 1e5 1e-4 1E+3 1.5 1. .5 -.5 +.5e-3 1_0.5 .inf -.INF +.inf .nan .NaN
1e 1.2.3 0o8 0xg 1:30 12:30:45 190:20:30.15 2026-01-31 2026-1-2 2026-01-31T10:00:00Z
2026-01-31T1:02:03.5+2 2026-01-31T23:59:59.9999999 2026-01-31t10:00:00-05:30
a#b a:b -a ?x :x x: - http://x/y?z=1 a'b
3af30547bda0d61d5618c8d8b2f38f6d
12345678901234567890123456789012 1234567890123456789012345678e12
'0x1F' "1" 'it''s' "\\u00e9\\n\\/" é 😀 <<a =a & ! !!str""".split()  # noqa: SIM905


@pytest.mark.parametrize("text", [*SCALARS, "2026-01-31 10:00:00 +01:00", "a b  c", ""])
@pytest.mark.parametrize("frame", ["a: {}", "- {}\n- {}", "a: [{}, b]", "{{k: {}}}"])
def test_a_scalar_means_what_it_means_to_ruamel(text: str, frame: str) -> None:
    document = frame.format(text, text)
    try:
        expected = ruamel(document)
    except (YAMLError, ValueError):
        return
    if text != "!":
        assert form(load(document)) == form(expected)


def test_the_rules_of_yaml_1_2_hold() -> None:
    assert load("{a: on, b: 1e-4, c: 010, d: 0x1F, e: 1_000, f: 0o17}") == {
        "a": "on", "b": 1e-4, "c": 10, "d": 31, "e": 1000, "f": 15,
    }  # fmt: skip
    assert load("2026-01-31") == dt.date(2026, 1, 31)
    assert math.isnan(load(".nan"))


plain = st.sampled_from([text for text in SCALARS if text not in {"&", "!", "!!str"}])
text = st.one_of(plain, st.text("ab :#-?'\"\\,[]{}!|>%@`~=.1\té", min_size=1, max_size=5))
flow = st.recursive(
    text,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(st.tuples(text, inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=6,
)
block = st.lists(
    st.one_of(
        st.tuples(text, flow).map(lambda pair: f"{pair[0]}: {pair[1]}"),
        st.tuples(plain, flow, flow).map(lambda three: "{}:\n- {}\n- k: {}".format(*three)),
        st.tuples(plain, st.sampled_from(["|", "|-", ">", ">+"])).map(
            lambda pair: f"{pair[0]}: {pair[1]}\n  x\n\n    y\n  z\n"
        ),
        st.sampled_from(["<<: *a", "<<: [*a, *b]", "<<: {z: 3}", "z: *c", "# c", "w: *a # c", ""]),
    ),
    max_size=5,
).map(lambda lines: "\n".join(["x: &a {z: 1, y: 2}", "y: &b {z: 2}", "v: &c [1]", *lines]))


@settings(max_examples=300, deadline=None)
@given(block)
def test_what_dvc_reads_is_read_as_the_same_data(document: str) -> None:
    # a key that does not equal itself can stand twice, and what is left of it is chance
    assume(document.lower().count(".nan") < 2)
    try:
        expected = ruamel(document)
    except (YAMLError, ValueError, TypeError, OverflowError):
        return  # what DVC cannot read may be an error, or be read
    assert form(load(document)) == form(expected)


def test_a_bare_exclamation_mark_is_null_as_for_dvc() -> None:
    document = "a: !\nb: ! 1\nc: ! x"
    assert load(document) == ruamel(document) == {"a": None, "b": 1, "c": "x"}


def test_what_only_ruamel_can_scan_is_read_too() -> None:
    document = "a: [x:, -1]\nb: [?, 1]"
    assert load(document) == ruamel(document)


def test_both_scanners_give_the_same_data() -> None:
    document = "a: &x {b: [1, 'y', \"z\"]}\nc:\n- *x\n- |\n  text\n? [k]\n: <<\n"
    slow = yaml12._Builder(document, "f").build(yaml12._ruamel_events(document, "f"))
    assert slow == load(document)


def test_an_alias_gives_the_same_object_again() -> None:
    data = load("a: &x [1]\nb: *x\nc: &x [2]\nd: *x")
    assert data["a"] is data["b"]
    assert data["d"] == [2]


def test_merge_keys_yield_to_own_keys_and_to_earlier_ones() -> None:
    document = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\nd: {<<: *a, x: 4}"
    assert form(load(document)) == form(ruamel(document))
    assert load(document)["c"] == {"x": 1, "z": 2, "y": 3}


ERRORS = [
    ("a: 1\nb:\n  c: x: y\n", 3, "mapping values are not allowed"),
    ("a: [1,\n  2", 2, "while parsing a flow sequence that starts on line 1"),
    ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands twice in one mapping, first on line 1"),
    ("s:\n- x: 1\n- y: 1\n  z: 2\n  y: 3\n", 5, "stands twice in one mapping, first on line 3"),
    ("1: a\n1.0: b\n", 2, "first on line 1"),
    ("a: !foo x", 1, "the tag '!foo' is not known"),
    ("a: !!python/object:os.system {}", 1, "is not known"),
    ("a:\n  b: *x", 2, "no anchor '&x' comes before"),
    ("a: &x [*x]", 1, "within what it names"),
    ("a: &x\n  <<: *x", 2, "within what it names"),
    ("? {a: 1}\n: 2", 1, "is no key"),
    ("<<: 1", 1, "expects a mapping"),
    ("<<: {a: 1}\n<<: {b: 1}", 2, "stands twice"),
    ("a: 1\n---\nb: 2", 2, "expected one document"),
    ("%YAML 1.1\n---\na: on", 1, "YAML 1.1"),
    ("a: 2026-13-45", 1, "looks like a timestamp, but cannot be read as one"),
    ("a: " + "9" * 5000, 1, "looks like an int"),
    ("a: é\nb: \x07", 2, "control characters"),
    ("a: '\ud800'", 1, "surrogates"),
    ('a: "\\UFFFFFFFF"', 1, "invalid Unicode character escape code"),
    ("%YAML 1.99\n---\na", 1, "incompatible YAML document"),
    ("[" * 5000, 1, "more than 200 deep"),
    ("- " * 5000, 1, "more than 200 deep"),
    ("\n".join(" " * n + "k:" for n in range(300)), 201, "more than 200 deep"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "line", "what"), ERRORS, ids=range(len(ERRORS)))
def test_an_error_says_what_is_wrong_and_on_which_line(
    document: str, line: int, what: str
) -> None:
    with pytest.raises(Error) as caught:
        load(document)
    assert what in caught.value.what
    assert "\n" not in caught.value.what
    assert caught.value.where == f"f.yaml:{line}"


@pytest.mark.parametrize("ours", ["a: 1\n", "stages:\n  a:\n    cmd: x\n"])
def test_conflict_markers_are_named_in_the_hint(ours: str) -> None:
    with pytest.raises(Error) as caught:
        load(f"<<<<<<< HEAD\n{ours}=======\na: 2\n>>>>>>> branch\n")
    assert "merge conflict" in str(caught.value.hint)


def test_merges_cannot_fill_the_memory() -> None:
    keys = ", ".join(f"k{n}: 1" for n in range(2000))
    bomb = f"a: &a {{{keys}}}\n" + "\n".join(f"m{n}: {{<<: *a}}" for n in range(600))
    with pytest.raises(Error, match="copy more than"):
        load(bomb)


def test_a_billion_laughs_cost_nothing() -> None:
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert len(load("\n".join(lines))["a29"]) == 9


def test_a_line_is_found_by_the_path_of_keys() -> None:
    document = (
        "# c\nstages:\n  a:\n    deps:\n    - x\n    - {k: 1,\n       l: 2}\n  ? b\n  : 1\n1: z\n"
    )
    lines = {
        ("stages",): 2, ("stages", "a"): 3, ("stages", "a", "deps"): 4,
        ("stages", "a", "deps", 0): 5, ("stages", "a", "deps", 1): 6,
        ("stages", "a", "deps", 1, "l"): 7, ("stages", "b"): 8, (1,): 10, (): 2,
    }  # fmt: skip
    assert {path: yaml12.line_of(document, path) for path in lines} == lines


def test_for_a_path_that_is_not_there_the_nearest_parent_counts() -> None:
    document = "stages:\n  a:\n    deps: &d\n    - x\n  b:\n    deps: *d\n"
    assert yaml12.line_of(document, ["stages", "a", "cmd"]) == 2
    assert yaml12.line_of(document, ["stages", "a", "deps", 7]) == 3
    assert yaml12.line_of(document, ["stages", "b", "deps", 0]) == 6
    assert yaml12.line_of(document, ["vars"]) == 1
    assert yaml12.line_of("", ["a"]) is None


def test_a_file_is_read_with_or_without_bom(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\n")
    assert yaml12.read(path) == {"a": "é"}
    path.write_bytes(b"")
    assert yaml12.read(path) is None


def test_a_file_that_is_not_utf_8_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"a: \xe9\n")
    with pytest.raises(Error, match="not UTF-8") as caught:
        yaml12.read(path)
    assert caught.value.where == str(path)
    with pytest.raises(NotFound):
        yaml12.read(tmp_path / "nope.yaml")
