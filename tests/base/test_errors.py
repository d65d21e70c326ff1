from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import assay
from assay.base.errors import (
    Error,
    Inconclusive,
    Negative,
    NotFound,
    Usage,
    did_you_mean,
)


def test_an_error_says_what_where_and_what_to_do():
    error = Error("stage 'train' has no 'cmd'", where="dvc.yaml:12", hint="add 'cmd:' to it")
    assert str(error) == "dvc.yaml:12: stage 'train' has no 'cmd'\n  hint: add 'cmd:' to it"
    assert str(Error("it broke")) == "it broke"
    assert str(Error("it broke", where=Path("/a"))) == "/a: it broke"


@pytest.mark.parametrize(
    ("kind", "code"), [(Error, 255), (NotFound, 255), (Negative, 1), (Usage, 2), (Inconclusive, 3)]
)
def test_each_kind_has_its_exit_code(kind: type[Error], code: int):
    assert issubclass(kind, Error)
    assert kind.exit_code == code


def test_the_nearest_name_is_suggested_and_no_far_one():
    assert did_you_mean("psuh", ["push", "pull"]) == "did you mean 'push'?"
    assert did_you_mean("x", ["push", "pull"]) is None


def test_every_error_survives_the_way_to_another_process():
    for found in pkgutil.walk_packages(assay.__path__, "assay."):
        if not found.name.startswith(("assay.ledger.migrations", "assay.__main__")):
            importlib.import_module(found.name)
    kinds = [Error, *(one for one in _below(Error) if one.__module__.startswith("assay."))]
    assert len(kinds) > 35, "the tree of errors was not found"
    for kind in kinds:
        error: Error = cast("Any", kind).__new__(kind, "it broke")
        Error.__init__(error, "it broke", where="a.yaml:3", hint="mend it")
        error.__dict__["own"] = {"key": ("lr", 1)}
        error.add_note("seen twice")
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(again) is kind
            assert again.args == error.args
            assert vars(again) == vars(error)


def _below(kind: type[Error]) -> Iterator[type[Error]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def test_an_error_that_is_made_of_other_things_keeps_its_own_attributes():
    from assay.ledger.recording import Reused

    error = Reused("lr", old="1", new="2")
    again = pickle.loads(pickle.dumps(error))
    assert (again.key, again.old, again.new) == ("lr", "1", "2")
    assert str(again) == str(error)
