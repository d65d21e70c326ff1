from __future__ import annotations

import datetime as dt
import io
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from assay.base.errors import Error
from assay.project import yaml12
from assay.project.emit import dump

DVC = Path(__file__).parents[2] / ".peers" / "dvc" / "bin" / "dvc"


def ruamel_dump(data: Any) -> str:
    """Write as DVC does: its `dumps_yaml` is these three lines."""
    yaml = YAML()
    yaml.default_flow_style = False
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def ruamel_reads(text: str, data: Any) -> bool:
    try:
        return repr(YAML(typ="safe", pure=True).load(text)) == repr(data)
    except YAMLError:
        return False


def load(text: str) -> Any:
    return yaml12.load(text, where="f.yaml")


pieces = st.one_of(
    st.sampled_from(" :#-?'\"\\,[]{}&*!|>@`~=<.+_/$\n\tab09"),
    st.sampled_from("\0\7\r\x1b\x7f\x85\xa0\u2028\u2029\ufeffé日😀\udcff"),
    st.sampled_from(["   ", ": ", " #", "- ", " \n", "\n ", "true", "1e5", "---", "23"]),
    st.sampled_from(["word ", "--option ", "'q' ", '"q" ', "x" * 20, "x" * 40]),
)
WORDS = """true True no ~ null NULL 1 1.0 1. 1e-5 0o7 010 0x1F 1_0 _1 -_ 0x_ 2026-01-31 = << - -- ?
: a: #a a#b -a ?a :a *a &a !a %a @a `a |a >a [a {a ,a .inf -.inf +.inf .nan ... --- a:b ._ 'a "a
12345678901234567890123456789e12 3af30547bda0d61d5618c8d8b2f38f6d""".split()  # noqa: SIM905
long_text = st.lists(st.text("abcde/.-_='", min_size=1, max_size=90), max_size=20).map(" ".join)
texts = st.one_of(
    st.sampled_from(["", " ", "a b", "a: b", "a #b", "- a", "a ", " a", *WORDS]),
    st.lists(pieces, max_size=8).map("".join),
    st.lists(pieces, min_size=10, max_size=60).map("".join),
    long_text,
    st.text(max_size=10),
)
numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from([10**90, -0.0, 1e16, 1e-5, 5e-324, math.inf, -math.inf]),
)
moments = st.one_of(st.dates(), st.datetimes(timezones=st.sampled_from([None, dt.UTC])))
keys = st.one_of(
    st.text("abc_./", min_size=1, max_size=12), texts, st.none(), st.booleans(), numbers
)
values = st.recursive(
    st.one_of(texts, texts, numbers, st.none(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.lists(inner, min_size=1, max_size=2).map(lambda shared: [shared, {"again": shared}]),
        inner.map(lambda shared: {"a": {"b": shared}, "a.b": shared}),
    ),
    max_leaves=8,
)
documents = st.one_of(
    st.dictionaries(keys, values, min_size=1, max_size=3), st.lists(values, min_size=1, max_size=3)
)


@settings(max_examples=300, deadline=None)
@given(documents)
@example({"k" * 123: 1, "k" * 122: {"a": [[]]}, 10**124: []})
@example({"a\nb": [1, [2]], "a\nc": {"d": 1}, "": "", None: None})
@example(
    {"cmd": "python train.py " + "--option value " * 20, "other": ["x" * 90, {"k": "x" * 90}]}
)
def test_the_bytes_are_those_of_ruamel_wherever_those_read_back(data: Any) -> None:
    ours, theirs = dump(data), ruamel_dump(data)
    assert ours == theirs or not ruamel_reads(theirs, data)


@settings(max_examples=300, deadline=None)
@given(documents)
def test_what_is_written_reads_back_as_it_was(data: Any) -> None:
    text = dump(data)
    assert repr(load(text)) == repr(data)
    assert ruamel_reads(text, data)


@settings(max_examples=100, deadline=None)
@given(texts, st.integers(1, 30), st.sampled_from(["value", "key", "item", "deep"]))
def test_one_text_in_any_place_is_written_as_ruamel_does(
    text: str, column: int, place: str
) -> None:
    key = "k" * column
    data: Any = {
        "value": {key: text}, "key": {text: 1}, "item": {key: [text, [text]]},
        "deep": {key: {key: [{key: text}]}},
    }[place]  # fmt: skip
    ours, theirs = dump(data), ruamel_dump(data)
    assert ours == theirs or not ruamel_reads(theirs, data)


@given(st.dictionaries(st.text("abc", min_size=1), moments | st.lists(moments), max_size=4))
def test_dates_are_written_as_ruamel_does(data: dict[str, Any]) -> None:
    assert dump(data) == ruamel_dump(data)


def test_the_lock_of_the_specification_is_written_to_the_byte() -> None:
    nested = {"a": 1, "b": True, "c": None, "e": 1e-4}
    data = {
        "schema": "2.0",
        "stages": {
            "prep": {
                "cmd": "echo '# x: y' > w2.txt",
                "deps": [{"path": "data.csv", "hash": "md5", "md5": "3" * 32, "size": 12}],
                "params": {"params.yaml": {"lr": 0.1, "t.l": [1, None, []], "t.n": nested}},
                "outs": [{"path": "d", "md5": "ae7f41210952df0921ba9bf55df5789e.dir", "x": {}}],
            },
            "two": {
                "cmd": "cp a b\necho done\n",
                "params": {"p": {"a": {"b": nested}, "a.b": nested}},
            },
        },
    }
    assert dump(data) == ruamel_dump(data)
    assert (
        dump(data)
        == """\
schema: '2.0'
stages:
  prep:
    cmd: "echo '# x: y' > w2.txt"
    deps:
    - path: data.csv
      hash: md5
      md5: '33333333333333333333333333333333'
      size: 12
    params:
      params.yaml:
        lr: 0.1
        t.l:
        - 1
        -\x20
        - []
        t.n: &id001
          a: 1
          b: true
          c:
          e: 0.0001
    outs:
    - path: d
      md5: ae7f41210952df0921ba9bf55df5789e.dir
      x: {}
  two:
    cmd: "cp a b\\necho done\\n"
    params:
      p:
        a:
          b: *id001
        a.b: *id001
"""
    )


def test_a_text_that_ruamel_would_spoil_reads_back() -> None:
    spoiled = {
        "k" * 70 + " and more words": "a key folded in the middle",
        "blanks": "x" * 50 + "  " + "y" * 50,
        "escape": "it's " + "x" * 70 + "\tword and 'more'",
        "next line": "a\x85b",
    }
    for key, value in spoiled.items():
        assert not ruamel_reads(ruamel_dump({key: value}), {key: value})
        assert load(dump({key: value})) == {key: value}
        assert ruamel_reads(dump({key: value}), {key: value})


def test_what_has_no_yaml_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(3000):
        deep = [deep]
    for data in ({"a": object()}, {"a": {1}}, {("a",): 1}, [b"bytes"], deep):
        with pytest.raises(Error):
            dump(data)


def test_nothing_at_all_is_written_in_flow_style() -> None:
    assert dump({}) == ruamel_dump({}) == "{}\n"
    assert dump([]) == ruamel_dump([]) == "[]\n"


PIPELINE = r"""
stages:
  fold:
    cmd: >-
      cat in.txt > fold.txt && echo "a long command that has many words" --option=value
      --another-option 'a value in quotes' --and-one-more-option > /dev/null
    deps: [in.txt]
    params: [lr, layers, nested, nested.inner, other.toml: [title, n]]
    outs: [fold.txt]
  quotes:
    cmd: "echo '# x: y' > quotes.txt && echo \"it's: so\" && echo '- é 日本 😀' > /dev/null"
    params: [strings]
    outs: [quotes.txt]
  lines:
    cmd: |
      cp in.txt lines.txt
      echo one: two
    deps: [in.txt]
    outs: [lines.txt]
  several:
    cmd: ["true", "echo 'x: y' > a.txt", "echo 1"]
    outs: [a.txt]
  "true":
    cmd: "mkdir -p 'dir with blanks' && echo 2 > 'dir with blanks/- x'"
    outs: ["dir with blanks"]
"""
PARAMS = r"""
lr: 1e-05
layers: [1, 2, [3, [4, null]], [], {}]
nested: {inner: {a: 1, b: yes, c: null, e: 1e+16, f: .inf, g: -0.0}, on: off}
strings:
  - ""
  - " leading"
  - "trailing "
  - "tab\there"
  - "two\nlines\n"
  - "\u2028 \u0085 \uFEFF \x07 \e"
  - "it's 100% \"quoted\" # and: so on, with enough words to be folded once or even twice over"
  - 'a: single quoted text with enough words to be folded between its quotes at column eighty'
  - "2.0"
  - "1e5"
  - "0x1F"
  - "null"
  - "~"
  - "=="
  - "*star"
  - "? q"
  - "-dash"
  - "a_very_long_word_without_any_blank_that_does_not_fit_on_a_line_of_eighty_columns_at_all"
  - {"key: with colon": 1, "": 2, "3": 3, "null": 5, "multi\nline": {a: [b]}}
"""


@pytest.mark.peer
def test_a_lock_of_the_real_dvc_is_written_again_to_the_byte(tmp_path: Path) -> None:
    if not DVC.exists():
        pytest.skip(f"no {DVC.relative_to(DVC.parents[3])}: make it with 'make {DVC.parents[1]}'")
    (tmp_path / "in.txt").write_text("x\n")
    (tmp_path / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    (tmp_path / "other.toml").write_text('title = "a: b"\nn = [1, 2]\n')
    git = shutil.which("git") or "git"
    site = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    for command in ([git, "init"], [str(DVC), "init"], [str(DVC), "repro"]):
        subprocess.run([*command, "-q"], cwd=tmp_path, env=os.environ | site, check=True)
    text = (tmp_path / "dvc.lock").read_bytes().decode()
    assert dump(load(text)) == text
    assert "&id001" in text
