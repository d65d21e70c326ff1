"""What `assay bundle` does: look into a bundle, prove it, and write it out."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.bundle import environment, find, flavours, load, origin, record
from assay.bundle.contents import Contents, write_folder
from assay.bundle.golden import Proof
from assay.bundle.load import Bundle
from assay.project.settings import ledger_where


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has to be true of a bundle, and what was found."""

    name: str
    ok: bool
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a bundle is whole, fits here, is harmless, and answers as it did.

    Attributes
    ----------
    id : str or None
        None where its index could not be trusted.
    checks : list of Check
        In order; the first that fails is the last.
    """

    ref: str
    id: str | None
    ok: bool
    checks: list[Check]
    proof: Proof | None = None


def verify(ref: str) -> Verdict:
    """Go through all that `assay.load` asks of a bundle, and say what was found.

    Raises
    ------
    NotFound
        If there is no such bundle.
    """
    checks: list[Check] = []
    contents: Contents | None = None
    proof: Proof | None = None
    name = "whole"
    try:
        contents = find.find(ref)
        size = sum(file.size for file in contents.index.files.values())
        n_files = len(contents.index.files)
        checks.append(Check(name=name, ok=True, text=f"{n_files} files, {size:,} bytes"))
        name = "environment"
        needed = contents.index.environment
        environment.check(needed, where=contents.where)
        versions = ", ".join(f"{key} {value}" for key, value in needed.packages.items())
        checks.append(Check(name=name, ok=True, text=f"Python {needed.python}, {versions}"))
        name = "harmless"
        model = contents.index.model
        flavour = flavours.get(model.flavour, where=contents.where)
        stored = flavour.load(contents.files[model.file], where=model.file)
        checks.append(Check(name=name, ok=True, text=model.type))
        name = "golden examples"
        proof = Bundle(contents, stored).prove()
        checks.append(Check(name=name, ok=True, text=_words(proof)))
    except NotFound:
        raise
    except Error as error:
        checks.append(Check(name=name, ok=False, text=error.what))
    return Verdict(
        ref=ref,
        id=None if contents is None else contents.id,
        ok=all(check.ok for check in checks),
        checks=checks,
        proof=proof,
    )


def show(ref: str) -> dict[str, object]:
    """Return what is in a bundle; its model is not loaded."""
    return dict(load.summary(find.find(ref)))


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was written to a folder; `has_record` where the ledger knew of it."""

    id: str
    folder: str
    has_record: bool


def export(ref: str, folder: Path) -> Exported:
    """Write a bundle to a folder, after its files were checked, and its record beside it."""
    contents = find.find(ref)
    found = _record(contents.id)
    write_folder(contents, folder, record=None if found is None else record.dump(found))
    return Exported(id=contents.id, folder=str(folder), has_record=found is not None)


def _record(bundle: str) -> record.Record | None:
    """Return what the ledger knows of a bundle; None where there is no ledger, too."""
    project = origin.project()
    where = os.environ.get("ASSAY_LEDGER") or (ledger_where(project) if project else None)
    if where is None:
        return None
    from assay.ledger.database import open_ledger

    try:
        with open_ledger(where, create=False) as ledger:
            return record.find(ledger, bundle)
    except NotFound:  # nothing was ever recorded here
        return None


def _words(proof: Proof) -> str:
    how = "bit by bit" if proof.bit_equal else f"to {proof.largest:.1g} of the number"
    return f"{proof.n_rows} rows answered as recorded, {how}"
