from __future__ import annotations

from pathlib import Path

import pytest

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
