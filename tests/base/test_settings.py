from __future__ import annotations

from typing import Any

import pytest

from assay.base.errors import Usage
from assay.base.settings import SETTINGS, check, parse, resolve, variable


def test_the_strongest_place_decides_and_without_one_the_default_holds():
    places: list[tuple[str, dict[str, Any]]] = [
        ("env", {}),
        ("clone", {"run.log_tail": "50"}),
        ("user", {"run.log_tail": 10}),
    ]
    assert resolve("run.log_tail", places) == 50
    assert resolve("run.log_tail", []) == SETTINGS["run.log_tail"].default


@pytest.mark.parametrize(
    ("key", "given", "value"),
    [
        ("profile.auto", "False", False),
        ("profile.auto", "1", True),
        ("profile.auto", True, True),
        ("run.log_tail", " 1_000 ", 1000),
        ("run.log_tail", 7, 7),
    ],
)
def test_a_value_is_read_as_its_type(key: str, given: Any, value: Any):
    assert parse(key, given, where="here") is value or parse(key, given, where="here") == value


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("profile.auto", "yes"),
        ("run.log_tail", "-1"),
        ("run.log_tail", "x"),
        ("run.log_tail", True),
        ("run.log_tail", -1),
        ("run.log_tail", "²"),
        ("run.log_tail", "1__0"),
        ("run.log_tail", "1" * 5000),
        ("serve.max_tensors", "0"),
        ("run.log_tail", 1.0),
        ("run.log_tail", 2**53 + 1),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(key: str, given: Any):
    with pytest.raises(Usage, match=f"'{key}' is {given!r}") as caught:
        parse(key, given, where="here")
    assert caught.value.where == "here"


def test_a_place_is_not_asked_where_a_stronger_one_decides():
    def places():
        yield "env", {"run.log_tail": "50"}
        raise AssertionError

    assert resolve("run.log_tail", places()) == 50


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(Usage, match=r"no setting 'run\.log_tial'") as caught:
        parse("run.log_tial", "1", where="here")
    assert caught.value.hint == "did you mean 'run.log_tail'?"


def test_each_setting_has_a_variable_of_its_own_and_a_default_that_fits():
    assert len({variable(key) for key in SETTINGS}) == len(SETTINGS)
    for key, setting in SETTINGS.items():
        check(key, setting.default)
