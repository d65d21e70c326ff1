from __future__ import annotations

from typing import Any

import pytest

from assay.base.errors import Usage
from assay.base.settings import SETTINGS, check, check_address, parse, resolve, variable


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


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("localhost:5999", "did you mean 'http://localhost:5999'?"),
        ("//hub.example.org/team", "did you mean 'http://hub.example.org/team'?"),
        ("ada:s3cret@hub:80", "did you mean 'http://hub:80'?"),
        ("notaurl", "did you mean 'http://notaurl'?"),
        ("http:/hub", "write it as http://HOST:PORT"),
        ("http://", "write it as http://HOST:PORT"),
        ("http://hub:port", "write it as http://HOST:PORT"),
        ("postgresql://db/assay", "write it as http://HOST:PORT"),
        ("./hub.db", "write it as http://HOST:PORT"),
    ],
)
def test_what_is_no_address_of_a_hub_is_refused_with_what_may_be_meant(given: str, hint: str):
    for read in (parse, check):
        with pytest.raises(
            Usage, match=r"'hub\.url' is .*, which is no address of a hub"
        ) as caught:
            read("hub.url", given, where="here")
        assert (caught.value.where, caught.value.hint) == ("here", hint)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://localhost:5999",
        "https://ada:x@hub.example.org/team/",
        "http://[::1]:80",
        "http://h",
    ],
)
def test_an_address_of_a_hub_is_taken(given: str):
    assert parse("hub.url", given, where="here") == given


@pytest.mark.parametrize("given", ["localhost:5999", "ada:s3cret@db.example.org:5432/assay"])
def test_a_server_without_its_protocol_is_no_file_of_a_ledger(given: str):
    with pytest.raises(Usage, match="a server's address, without its protocol") as caught:
        parse("ledger.url", given, where="here")
    assert "did you mean 'postgresql://" in str(caught.value.hint)
    assert "'http://" in str(caught.value.hint)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("given", ["", "runs.db", "a/b:1/c.db", "/data/x:1", "~/l.db", "./db:1"])
def test_the_path_of_a_ledger_is_taken(given: str):
    check_address("ledger.url", given)
    check_address("ASSAY_LEDGER", given)
