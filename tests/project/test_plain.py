"""A plain record is read as the library for YAML reads it, and what is not plain is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.project import plain, yaml12
from tests import make

OIDS = st.text("0123456789abcdef", min_size=32, max_size=32)
ODD = st.sampled_from(
    ["0" * 32, f"{'1' * 15}e{'1' * 16}", f"0b{'1' * 30}", f"0x{'a' * 30}", f"{'12' * 15}_1"]
)
PATHS = st.sampled_from(
    "data true NULL no on ~ 1e3 a.b a/b .a a# a:b 'a' 2024-01-01 0x1f _1 inf".split()  # noqa: SIM905
) | st.text(max_size=5)


@given(
    md5=OIDS | ODD,
    suffix=st.sampled_from(["", ".dir"]),
    size=st.sampled_from(["0", "12", "012", "1_000", "-1", "1.0", "9" * 20]),
    more=st.sampled_from(["", "  nfiles: 3\n", "  isexec: true\n", "  isexec: yes\n", "  x: 1\n"]),
    path=PATHS,
)
def test_it_says_the_same_as_yaml_or_nothing(md5, suffix, size, more, path):
    text = f"outs:\n- md5: {md5}{suffix}\n  size: {size}\n{more}  hash: md5\n  path: {path}\n"
    found = plain.load(text)
    if found is not None:
        assert found == yaml12.load(text, where="data.dvc")
        assert [*found["outs"][0]] == [*yaml12.load(text, where="data.dvc")["outs"][0]]


@pytest.mark.parametrize("name", ["folder", "file"])
def test_what_add_writes_is_plain(tmp_path: Path, name: str):
    root = make.project(tmp_path / "project")
    make.write(root, {"folder/a": "1", "file": "2"})
    make.done(root, "add", name)
    text = (root / f"{name}.dvc").read_text()
    assert plain.load(text) == yaml12.load(text, where="data.dvc")
    assert plain.load(text) is not None


@pytest.mark.parametrize("change", ["# mine\n{}", "{}desc: mine\n", "{}\n", "\ufeff{}"])
def test_what_a_person_wrote_into_it_is_left_to_yaml(change: str):
    text = f"outs:\n- md5: {'a' * 32}\n  size: 1\n  hash: md5\n  path: data\n"
    assert plain.load(text) is not None
    assert plain.load(change.format(text)) is None
