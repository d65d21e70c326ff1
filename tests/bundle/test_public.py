"""`assay.bundle` is a room and a function, whichever is touched first."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

CALL = """
try:
    assay.bundle(object(), X={"a": [1]}, to="nowhere")
except assay.Error as error:
    assert "cannot hold a builtins.object" in error.what, error
"""


@pytest.mark.parametrize(
    "before",
    [
        "import assay",
        "import assay\nimport assay.bundle.load",
        "import assay.bundle.load\nimport assay.bundle.load as loading\nloading.load",
        "from assay.bundle import make\nimport assay",
        "import assay\nassay.load",
        "from assay import bundle\nimport assay\nassert bundle is assay.bundle",
    ],
)
def test_it_can_be_called_and_imported_from_in_any_order(before: str):
    after = "from assay.bundle import load\nassert load.load is assay.load"
    code = f"{before}\n{CALL}\n{after}\nimport assay.bundle.find\n{CALL}"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_shows_the_signature_of_the_function():
    import assay
    from assay.bundle.make import make

    assert inspect.signature(assay.bundle) == inspect.signature(make)
    assert inspect.getdoc(assay.bundle) == inspect.getdoc(make)


def test_touching_it_loads_nothing_heavy():
    code = "import sys, assay\nassay.bundle\nassay.load\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"numpy", "sklearn", "skops", "sqlalchemy", "duckdb"} & {*done.stdout.split()}
