"""Overrides: what Hydra makes of them and what we do, over the same cases."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error
from assay.pipeline.experiments import grammar, overrides
from assay.pipeline.experiments.functions import Sweep
from tests import stages

PYTHON = stages.DVC.parent / "python"
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not PYTHON.exists(), reason="no real DVC; 'make peers' installs it"),
]

DATA = {
    "lr": 0.1, "name": "x", "none": None, "on": True,
    "model": {"n": 1, "layers": [8, 4], "deep": {"a": 1, "b": "y"}},
    "rows": [{"k": 1}, {"k": 2}],
}  # fmt: skip

WRITTEN = [
    "lr=0.3", "lr=5", "lr=", "lr=null", "lr=true", "lr=TRUE", "lr=x y", "lr= x ", "lr='a, b'",
    'lr="a\\"b"', "lr='a\\\\'", "lr=a\\,b", "lr=\\ ", "lr=a\\ b", "lr=1_000", "lr=-1", "lr=+1",
    "lr=1e3", "lr=.5", "lr=5.", "lr=1.e5", "lr=nan", "lr=inf", "lr=-inf", "lr=0123", "lr=1__0",
    "lr=10:20", "lr=a:b", "lr=a=b", "lr=http://x.y/z?a|b", "lr=$x", "lr=a@b", "lr=50%", "lr=*",
    "lr=2020-01-01", "lr=1.2.3", "lr=12abc", "lr=[", "lr=]", "lr=[1,2", "lr=[]", "lr={}",
    "lr=[1, [2, x], {a: 1}]", "lr={a:1,b:{c:[]}}", "lr={a}", "lr={'a':1}", "lr={a b: c d}",
    "lr={1: x}", "lr={null: 1}", "lr=[,]", "lr=1,", "lr=,1", "lr=()", "lr=f(1)", "lr=int(3.7)",
    "lr=int('3')", "lr=int(x)", "lr=float(3)", "lr=str(3)", "lr=str(true)", "lr=bool(0)",
    "lr=bool('true')", "lr=bool(x)", "lr=int([1.5, '2'])", "lr=str({a: 1})", "lr=int(value=3.5)",
    "lr=1,2", "lr=a, b", "lr=[1],[2]", "lr='1',1", "lr=range(3)", "lr=range(1,3)",
    "lr=range(3,0,-1)", "lr=range(0,1,0.25)", "lr=range(0,1,0.1)", "lr=range(start=1,stop=4)",
    "lr=range(1,4,step=2)", "lr=range(a,b)", "lr=choice(7,8)", "lr=choice()", "lr=choice(1)",
    "lr=choice(a,'b c',[1])", "lr=choice(choice(1,2))", "lr=int(choice(1.5,2.5))",
    "lr=str(range(1,3))", "lr=float(range(1,3))", "lr=int(1.5,2.5)", "lr=sort(3,1,2)",
    "lr=sort([3,1,2])", "lr=sort(3,1,2,reverse=true)", "lr=sort(range(5,1,-1))",
    "lr=tag(a,choice(1,2))", "lr=tag(a)", "lr=choice(1,2,a=3)", "lr=range(1,3,0)",
    "model.n=5", "model.new=5", "+model.new=5", "++model.new=5", "++model.n=5", "+model.n=5",
    "model=3", "model={n: 2}", "model={zz: 2}", "+model={zz: 2}", "++model={zz: {a: 1}}",
    "model={deep: {a: 5}}", "model={deep: {zz: 5}}", "model=[1]", "model.layers={a: 1}",
    "model.layers=[1,2,3]", "+model.layers=[1]", "model.layers=5", "model.layers.0=9",
    "model.layers.5=9", "model.layers.x=9", "rows.0.k=5", "rows.1.zz=5", "+rows.1.zz=5",
    "rows.9.k=5", "~lr", "~lr=0.1", "~lr=0.2", "~zz", "~model.deep", "~model.deep.a", "~none",
    "~model.layers", "~model.layers.0", "~rows.0.k", "none=1", "+none=1", "none.a=1", "+none.a=1",
    "++none.a.b=1", "lr.a=1", "+lr.a=1", "++lr.a=1", "+a.b.c=1", "+new={a: {b: 1}}", "+new=[1]",
    "zz=1", "lr", "=1", "~", "+", "+++lr=1", "~+lr", "lr =1", " lr=1", "a@b=1", "a/b=1",
    "+a/b=1", "a.=1", ".a=1", "0=1", "model.0=1", "+model.0=1", "a b=1", "lr=interval(0,1)",
    "lr=glob(*)", "lr=glob('*')", "lr='", "lr='a", "lr='a'b", "lr=a'b", "lr=\\", "lr=a\\b",
    "lr=#", "lr=a;b", "lr=!",
    "lr=~a", "lr=&", "lr=<", "lr=`", "lr=ü", "lr='ü'", "lr=\t1", "lr=choice (1,2)", "lr=a(b",
]  # fmt: skip

NOT_TAKEN = ("interval(", "glob(")  # Hydra parses them, and DVC refuses them
PIECES = [
    "a", "b1", "_c", "true", "NULL", "1", "-2", "3.5", "1e3", ".5", "5.", "inf", " ", "  ", ",",
    ":", "=", "[", "]", "{", "}", "(", ")", "'", '"', "\\", "\\,", "\\ ", "/", "-", "+", ".", "$",
    "%", "*", "@", "?", "|", "int(", "choice(", "range(", "'x y'", '"q"', "a:1", "[1,2]", "{a: b}",
]  # fmt: skip
KEYS = ["lr", "model.n", "model.layers", "model.deep", "rows.0.k", "none", "new", "model.new"]


def drawn(count: int, *, seed: int) -> list[str]:
    """Make overrides out of pieces of the grammar."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        sign = draw.choice(["", "", "", "+", "++", "~"])
        value = "".join(draw.choices(PIECES, k=draw.randint(1, 6)))
        found.append(f"{sign}{draw.choice(KEYS)}={value}")
    return [text for text in found if "${" not in text]


def hydra(cases: list[tuple[Any, list[str]]]) -> list[dict[str, Any]]:
    script = Path(__file__).with_name("hydra_overrides.py")
    done = subprocess.run(
        [str(PYTHON), str(script)], input=json.dumps(cases), check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def ours(data: Any, given: list[str]) -> dict[str, Any]:
    try:
        parsed = [grammar.parse(text) for text in given]
        if any(isinstance(one.value, Sweep) for one in parsed):
            return {
                "sweep": [
                    list(one.value.values) if isinstance(one.value, Sweep) else [one.value]
                    for one in parsed
                ]
            }
        return {"data": overrides.applied(data, parsed, where="params.yaml")}
    except Error as error:
        return {"error": str(error)}


def check(cases: list[tuple[Any, list[str]]]) -> None:
    answers = hydra(cases)
    wrong = []
    for (data, given), theirs in zip(cases, answers, strict=True):
        found = ours(data, given)
        alike = "error" in found if "error" in theirs else _written(found) == _written(theirs)
        if not alike and not any(sign in text for text in given for sign in NOT_TAKEN):
            wrong.append((given, theirs, found))
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong[:20]}"


def _written(value: Any) -> str:
    """Return the JSON, in which NaN is itself and a key is text."""
    return json.dumps(json.loads(json.dumps(value)), sort_keys=True)


def test_every_form_of_an_override_means_what_it_means_to_hydra():
    check([(DATA, [text]) for text in WRITTEN])


def test_overrides_made_of_pieces_mean_what_they_mean_to_hydra():
    check([(DATA, [text]) for text in drawn(1500, seed=7)])


def test_several_overrides_of_a_file_are_applied_in_turn():
    draw = random.Random(3)
    # with a sweep beside it, Hydra does not yet see that a key is none
    single = [t for t in WRITTEN if "=" in t[1:] and "(" not in t and "@" not in t]
    check([(DATA, draw.choices(single, k=3)) for _ in range(200)])
