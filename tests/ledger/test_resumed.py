"""What is known of a run to whoever goes on with it, or copies its files."""

from __future__ import annotations

import pytest

from assay.ledger import resumed
from assay.ledger.database import Ledger
from assay.ledger.writer import Artifact, Writer

OID = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("plots", ["plots/b.txt"]),
        ("Plots", ["Plots/a.txt"]),
        ("Plots/a.txt", ["Plots/a.txt"]),
        ("PLOTS", []),
        ("plot_", ["plot_/c%.txt"]),
        ("", ["Plots/a.txt", "plot_/c%.txt", "plots/b.txt"]),
        ("plot_/c%.txt", ["plot_/c%.txt"]),
    ],
)
def test_a_folder_of_files_is_the_one_that_is_spelt_so(
    ledger: Ledger, writer: Writer, run: str, path: str, found: list[str]
) -> None:
    kept = ["Plots/a.txt", "plots/b.txt", "plot_/c%.txt"]
    writer.add_artifacts(run, [Artifact(path=one, oid=OID, size=1) for one in kept])
    with ledger.read() as connection:
        assert [one.path for one in resumed.artifacts(connection, run, path)] == found
