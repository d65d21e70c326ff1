"""Open a bundle: whole, made for this environment, harmless, and still giving its own answers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error
from assay.bundle import contents as folders
from assay.bundle import environment, flavours, golden, reference
from assay.bundle.contents import Contents
from assay.bundle.golden import Golden, Mismatch, Proof
from assay.bundle.index import GOLDEN, REFERENCE, Index
from assay.bundle.reference import Reference
from assay.bundle.signature import Signature

if TYPE_CHECKING:
    from assay.bundle.signature import Values
    from assay.project.workspace import Project


class Bundle:
    """A model that answers, with what it was made of.

    Attributes
    ----------
    id : str
        "sha256:" and the hash of its `bundle.json`.
    proof : Proof or None
        That it gave the answers of its golden examples when it was opened.
    """

    def __init__(self, contents: Contents, model: Any) -> None:
        self.contents, self.model = contents, model
        self.proof: Proof | None = None
        self._flavour = flavours.get(contents.index.model.flavour, where=contents.where)

    @property
    def id(self) -> str:
        """The sha256 of its `bundle.json`."""
        return self.contents.id

    @property
    def index(self) -> Index:
        """What its `bundle.json` says."""
        return self.contents.index

    @property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return self.index.signature

    @cached_property
    def golden(self) -> Golden:
        """Rows of the training with the model's answers."""
        return golden.load(self.contents.files[GOLDEN], where=f"{self.contents.where}: {GOLDEN}")

    @cached_property
    def reference(self) -> Reference:
        """How the training rows were distributed, day by day."""
        where = f"{self.contents.where}: {REFERENCE}"
        return reference.load(self.contents.files[REFERENCE], where=where)

    def predict(self, table: Any) -> Values:
        """Return the model's answers: a number, or a class, for each row.

        Parameters
        ----------
        table : mapping, sequence of mappings, structured array, or data frame
            Columns by name, or rows. Types are those of the signature; nothing is converted.

        Raises
        ------
        InvalidRows
            If a column is missing, unknown, or has a value of another type.
        """
        return self.answers(table, probabilities=False)["predict"]

    def predict_proba(self, table: Any) -> Values:
        """Return the probability of each class, in the order of `signature.output.classes`."""
        if not self.signature.output.probabilities:
            raise Error(
                "the model gives no probabilities",
                where=self.index.model.type,
                hint="use predict(), or train an estimator that has predict_proba()",
            )
        return self.answers(table, probabilities=True)["predict_proba"]

    def answers(self, table: Any, *, probabilities: bool | None = None) -> dict[str, Values]:
        """Return all answers by name; probabilities where the model gives some, or as asked."""
        wanted = self.signature.output.probabilities if probabilities is None else probabilities
        columns = self.signature.enforce(table)
        return self._flavour.predict(
            self.model, columns, form=self.index.model.input, probabilities=wanted
        )

    def prove(self) -> Proof:
        """Let the model answer its golden examples with one thread, and remember the proof.

        Raises
        ------
        Mismatch
            If an answer differs by more than rounding.
        """
        where = self.contents.where
        try:
            with self._flavour.one_thread():
                self.proof = golden.prove(self.golden, self.answers, where=where)
        except Error:
            raise
        except Exception as error:  # whatever the model stumbles over
            raise Mismatch(
                f"the model fails on its golden examples ({type(error).__name__}: {error})",
                where=where,
            ) from error
        return self.proof

    def write(self, folder: str | Path) -> None:
        """Write the bundle to a folder, as a whole or not at all."""
        folders.write_folder(self.contents, Path(folder))

    def __repr__(self) -> str:
        return f"<Bundle {self.id[:19]} {self.index.name or self.index.model.type}>"


def load(ref: str | Path, *, force: bool = False, project: Project | None = None) -> Any:
    """Open a bundle, ready to answer; or bring a file that a run keeps, and return its path.

    `runs:/RUN/PATH` names what a run keeps: a bundle is opened, any other file or folder is copied
    to this machine, and its path is returned. `runs:/RUN` is the bundle that the run made. Of a
    version that another tool made, such as MLflow, the path of its files is returned.

    A bundle is refused if a file is changed, missing or one too many, if it was made with another
    minor version of Python or another version of the packages that its model needs, if its
    model's file could do harm, or if it does not answer its golden examples as it did. The run
    that goes on, if any, records that it read the bundle.

    Parameters
    ----------
    ref : str or Path
        A folder, an id or its beginning, a run, `MODEL@VERSION` with a number or an alias, or an
        address: `runs:/RUN`, `runs:/RUN/PATH`, `models:/MODEL/VERSION`, `models:/MODEL/latest`,
        `models:/MODEL@ALIAS`.
    force : bool
        Open it in another environment, and without the golden examples, to look at it.
    project : Project, optional
        Where ids, runs and versions are known: in its own ledger. By default that around the
        current folder, or the hub that it records to (`hub.url`).

    Examples
    --------
    >>> assay.load("bundle").predict([{"hour": 8, "temperature": 21.5}])  # doctest: +SKIP
    array([312.4])
    """
    from assay.bundle import addresses

    found = addresses.find(ref, project=project)
    if isinstance(found, Path):
        return found
    opened = open_contents(found, force=force)
    _note_read(str(ref), opened, project)
    return opened


def _note_read(ref: str, opened: Bundle, project: Project | None) -> None:
    """Let the run that goes on say that it read the bundle: a parent of what it makes."""
    from assay.bundle import addresses, origin

    with contextlib.suppress(Error):  # it may have ended, or be one of several threads
        active = origin.active_run()
        if active is not None:
            active.read(f"bundle:{opened.id}")
            version = addresses.version(ref, project=project)
            if version is not None and version.bundle == opened.id:  # an alias may have moved
                active.read(version.thing)


def open_bundle(ref: str | Path, *, force: bool = False, project: Project | None = None) -> Bundle:
    """Open a bundle as `load` does; anything else is an error."""
    from assay.bundle import addresses

    found = addresses.find(ref, project=project)
    if isinstance(found, Path):
        raise Error("this is a file that a run keeps, no bundle", where=str(ref))
    return open_contents(found, force=force)


def open_contents(contents: Contents, *, force: bool = False) -> Bundle:
    """Return the bundle of some contents, proved unless `force` is given."""
    index = contents.index
    if not force:
        environment.check(index.environment, where=contents.where)
    flavour = flavours.get(index.model.flavour, where=contents.where)
    file = index.model.file
    model = flavour.load(contents.files[file], where=f"{contents.where}: {file}")
    bundle = Bundle(contents, model)
    if not force:
        bundle.prove()
    return bundle


def summary(contents: Contents) -> Mapping[str, Any]:
    """Return what is in a bundle, for people and programs; the model is not loaded."""
    index = contents.index
    found = reference.load(contents.files[REFERENCE], where=contents.where)
    days = [day for day in found.days if day is not None]
    return {
        "id": contents.id,
        "name": index.name,
        "model": index.model,
        "signature": index.signature,
        "environment": index.environment,
        "data": index.data,
        "params": index.params,
        "files": index.files,
        "reference": {
            "n_rows": sum(found.n_rows),
            "n_days": len(days),
            "start": days[0] if days else None,
            "end": days[-1] if days else None,
        },
    }
