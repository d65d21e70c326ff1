"""What gets installed: a small base, and locks that name neither hosts nor places."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
LARGEST = 200_000_000  # bytes


def closure(name: str, extras: frozenset[str]) -> set[str]:
    """Return the distributions that a requirement brings on this machine, itself included."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(name), extras)]
    while waiting:
        entry = waiting.pop()
        if entry in seen:
            continue
        seen.add(entry)
        for text in metadata.requires(entry[0]) or ():
            wanted = Requirement(text)
            environments = [{"extra": extra} for extra in entry[1] or {""}]
            if wanted.marker is None or any(wanted.marker.evaluate(e) for e in environments):
                waiting.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    return {found for found, _ in seen}


def size(name: str) -> int:
    """Return the bytes of a distribution's files as they are installed."""
    paths = (Path(str(file.locate())) for file in metadata.files(name) or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def test_the_base_install_takes_less_than_200_megabytes():
    names = closure("assay", frozenset())
    sizes = {name: size(name) for name in names - {"assay"}}
    sizes["assay"] = sum(p.stat().st_size for p in (ROOT / "src").rglob("*") if p.is_file())
    assert {"numpy", "duckdb", "sqlalchemy", "mako"} <= names
    assert all(sizes.values()), sizes
    assert sum(sizes.values()) < LARGEST, sizes


def test_the_base_brings_nothing_of_an_extra():
    extras = {"scikit-learn", "starlette", "uvicorn", "vl-convert-python", "pyarrow", "ray"}
    assert closure("assay", frozenset()).isdisjoint(extras)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_versions_and_hashes_and_no_place(path):
    lines = path.read_text().splitlines()
    for line in (line for line in lines if not line.lstrip().startswith("#")):
        assert "://" not in line
        assert not re.search(r"--(extra-)?index|--find-links|(^|\s)[~.]?/|\bfile:", line), line


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_everything_in_a_lock_has_a_version_and_a_hash(path):
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    entries = [e for e in re.sub(r"\\\n\s*", " ", text).splitlines() if e.strip()]
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.+!-]+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_lock_covers_the_base():
    text = (ROOT / "requirements" / "dev.txt").read_text()
    locked = {canonicalize_name(name) for name in re.findall(r"(?m)^([\w.-]+)==", text)}
    assert closure("assay", frozenset()) - {"assay"} <= locked
