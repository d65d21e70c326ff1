"""Names of artifacts: what leads out is refused, what MLflow's client would garble comes back."""

from __future__ import annotations

import urllib.parse
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlparse, urlunparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.api.mlflow import paths
from assay.api.mlflow.errors import Refused

_NAME = st.text(
    st.one_of(st.sampled_from("#?%:;&+ ./\\%25ab\uff05~"), st.characters(codec="utf-8")),
    min_size=1,
    max_size=12,
).filter(lambda name: "/" not in name and "\0" not in name)


def as_client_reads(name: str) -> str:
    """Return what `validate_path_is_safe` of MLflow 3.17 makes of a name; raise where it does."""
    for _ in range(10):
        after = urlunparse(urlparse(unquote(name)))
        if after == name:
            break
        name = after
    else:
        raise ValueError(name)
    assert "#" not in name
    assert ".." not in name.split("/")
    return "".join(f"%{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c for c in name)


def request(raw_path: bytes, query: bytes = b"") -> Any:
    return SimpleNamespace(
        scope={"raw_path": raw_path, "path": "", "query_string": query}
    )  # fmt: skip


@given(name=_NAME)
def test_what_is_listed_is_read_as_it_is_and_means_the_name(name: str) -> None:
    try:
        paths.check(name)
    except Refused:
        return  # nobody can store it
    shown = paths.shown(name)
    assert as_client_reads(shown) == shown
    assert paths.meant(shown) == name
    assert "?" not in shown[-1:]


@given(one=_NAME, other=_NAME)
def test_no_two_names_are_listed_as_one(one: str, other: str) -> None:
    assert (paths.shown(one) == paths.shown(other)) == (one == other)


@pytest.mark.parametrize(
    "name",
    ["model.pkl", "a b.bin", "ä.txt", "100%", "a%zz", "q?x", "a+b&c=d", "~t", "a\\b", "[x]"],
)
def test_a_name_that_comes_back_is_listed_as_it_is(name: str) -> None:
    assert paths.shown(name) == name


@given(name=_NAME)
def test_what_is_encoded_arrives_as_it_was(name: str) -> None:
    raw = urllib.parse.quote(f"1/a/{name}", safe="/").encode()
    try:
        expected = paths.check(f"1/a/{name}")
    except Refused:
        with pytest.raises(Refused):
            paths.asked(request(b"/api/2.0/x/" + raw), below="/x/")
    else:
        assert paths.asked(request(b"/api/2.0/x/" + raw), below="/x/") == expected


def test_what_looks_like_a_query_belongs_to_the_name() -> None:
    assert paths.asked(request(b"/x/a/q", b"x%20y/z+1"), below="/x/") == "a/q?x y/z+1"


@pytest.mark.parametrize("raw", [b"/x/a%ff", b"/x/%c3", b"/x/a\xff"])
def test_what_is_not_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="it is not UTF-8"):
        paths.asked(request(raw), below="/x/")


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../x", "a/..", "a/../b", "/x", "//x", "a//b", "a/", "./a", "a/./b", "a\0b",
     "%2e%2e/x", "a/%2E%2e/b", "%252e%252e/x", "%25252e%25252e%25252fx", "..%2fx", "%2fetc",
     "..\\x", "a\\..\\b", "%2e%2e%5cx", "C:/x", "C:\\x", "c%3a%5cx", "\\\\host\\share\\x",
     "\ud800",
     "x" * 256, "é" * 128, "/".join(["x" * 200] * 21), "%" + "25" * 30 + "2e"],
)  # fmt: skip
def test_a_path_that_leads_out_or_nowhere_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="Invalid path") as raised:
        paths.check(path)
    assert (raised.value.code, raised.value.status) == ("INVALID_PARAMETER_VALUE", 400)


@pytest.mark.parametrize(
    "path",
    ["a", "a/b", "...", "..a/b..", "a b", "C:", "a:b/c", "%2e", "50%/x", "x" * 255, "é" * 127],
)
def test_a_path_that_leads_down_is_taken(path: str) -> None:
    assert paths.check(path) == path


@pytest.mark.parametrize(("path", "folder"), [("", ""), ("a/", "a"), ("a/b//", "a/b"), ("a", "a")])
def test_a_folder_may_end_in_a_slash(path: str, folder: str) -> None:
    assert paths.check_folder(path) == folder


@pytest.mark.parametrize("path", ["/", "/a", "../", "a//b/"])
def test_a_folder_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="Invalid path"):
        paths.check_folder(path)
