"""What a command line costs before it works: counted in modules, not in seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "numpy", "duckdb", "sqlalchemy", "alembic", "yaml", "ruamel", "asyncio", "jinja2", "pathspec",
    "scipy", "sklearn", "sqlite3", "subprocess", "importlib.metadata", "datasketches", "tomlkit",
}  # fmt: skip


def loaded(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def command(*arguments: str) -> str:
    return f"import assay.__main__ as m\nsys.argv = ['assay', *{arguments!r}]\nm.main()"


def test_import_assay_loads_one_module():
    ours = {name for name in loaded("import assay") if name.partition(".")[0] == "assay"}
    assert ours == {"assay"}


@pytest.mark.parametrize("code", ["import assay", command("--version"), command("-V")])
def test_import_and_version_load_nothing_heavy(code: str):
    assert not loaded(code) & (HEAVY | {"click", "msgspec", "inspect"})


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), (), ("pussh",)])
def test_help_and_a_mistyped_command_load_click_and_nothing_heavy(arguments: tuple[str, ...]):
    found = loaded(command(*arguments))
    assert "click" in found
    assert not found & HEAVY


def test_a_mistyped_option_loads_the_one_command_and_reads_no_file():
    assert not loaded(command("push", "--nope")) & (HEAVY - {"sqlite3"})


def test_a_command_of_data_loads_no_table_and_no_database(tmp_path):
    from tests import make

    folder = make.project(tmp_path / "p")
    make.write(folder, {"a.bin": "1"})
    found = loaded(f"import os\nos.chdir({str(folder)!r})\n" + command("add", "a.bin"))
    assert not found & {"numpy", "duckdb", "sqlalchemy", "alembic", "jinja2", "asyncio", "scipy"}


def test_the_public_names_are_loaded_when_they_are_touched():
    import assay

    for name in assay.__all__:
        assert getattr(assay, name) is not None
    assert dir(assay) == sorted(assay.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        _ = assay.nope


HELD = """
import atexit, sys, threading, time
import duckdb
connection = duckdb.connect()
threading.Thread(target=lambda held=connection: time.sleep(60), daemon=True).start()
atexit.register(print, "at exit")
"""


def test_tables_that_a_thread_still_holds_at_the_end_print_nothing():
    """A thread that is still alive keeps DuckDB's objects: it would list them all."""
    code = f"{HELD}\n{command('--help')}\nsys.exit(3)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage:")
    assert done.stdout.endswith("at exit\n")
    assert not done.stderr
