from __future__ import annotations

import hashlib
import tomllib

import pytest

from tests import vendor

INDEX = tomllib.loads((vendor.VENDOR / "vendor.toml").read_text())


def test_every_vendored_file_is_listed_and_nothing_else():
    lying = {path.name for path in vendor.VENDOR.iterdir()}

    assert lying == {*INDEX, "vendor.toml"}


@pytest.mark.parametrize("name", INDEX)
def test_a_vendored_file_has_the_bytes_that_are_recorded(name):
    content = (vendor.VENDOR / name).read_bytes()

    assert hashlib.sha256(content).hexdigest() == INDEX[name]["sha256"]


def test_the_bundle_is_the_one_that_the_locked_vl_convert_makes():
    pytest.importorskip("vl_convert")
    content, versions = vendor.bundle()

    entry = INDEX["vega-bundle.js"]
    assert entry["packages"] == [f"{name}@{version}" for name, version in versions.items()]
    assert hashlib.sha256(content).hexdigest() == entry["sha256"], "run 'make vendor'"


def test_the_bundle_can_stand_inside_of_a_script_element():
    text = (vendor.VENDOR / "vega-bundle.js").read_text(encoding="utf-8").lower()

    assert "</script" not in text
    assert "<!--" not in text
    assert "\r" not in text


def test_the_licence_texts_of_the_three_packages_are_there():
    text = (vendor.VENDOR / "vega-bundle.LICENSES.txt").read_text()

    for name in ("vega,", "vega-lite\n", "vega-embed\n", "d3-array"):
        assert name in text
    assert text.count("Redistributions in binary form must reproduce") >= 3
