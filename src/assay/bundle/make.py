"""Freeze a fitted model into a bundle: what its training determines, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.bundle import columns as tables
from assay.bundle import contents, environment, flavours, golden, index, origin, reference
from assay.bundle import signature as signatures
from assay.bundle.columns import InvalidRows
from assay.bundle.contents import Contents
from assay.bundle.index import FORMAT, GOLDEN, REFERENCE, Index, Model
from assay.bundle.load import Bundle
from assay.bundle.signature import Signature

if TYPE_CHECKING:
    from assay.bundle.flavours import Described, Flavour
    from assay.bundle.golden import Golden
    from assay.bundle.signature import Column, Values
    from assay.project.workspace import Project


def make(
    model: Any,
    *,
    X: Any,  # noqa: N803 -- as in scikit-learn
    y: Any = None,
    to: str | Path | None = None,
    name: str | None = None,
    time: Any = None,
    data: Iterable[str | Path] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Bundle:
    """Freeze a fitted model into a bundle: model, signature, examples, reference, origin.

    The same training gives the same id. In a project the files are kept in its object store; in a
    run of the ledger the bundle is recorded as made by it.

    Parameters
    ----------
    model : estimator
        A fitted classifier, regressor or pipeline of scikit-learn. Its preprocessing is
        scikit-learn's transformers: one with code of your own is refused.
    X : mapping, sequence of mappings, structured array, or data frame
        The training rows: the columns that the model was fitted on, in that order.
    y : array, optional
        What was to be predicted, for the reference.
    to : str or Path, optional
        The folder to write, such as an output of the stage. Needed outside a project.
    name : str, optional
        What the model is called; a part of the id.
    time : str or array, optional
        The event time of each row, or the column of `X` that has it, which is then no feature.
        Without it, the time column that `assay.yaml` declares, where `X` has it.
    data : iterable of path, optional
        What the training read. In a stage of `assay repro` the stage's record says it.
    params : mapping, optional
        What the training was told. In a stage of `assay repro` the stage's record says it.

    Examples
    --------
    >>> assay.bundle(model, X=features, y=target, to="bundle")  # doctest: +SKIP
    <Bundle sha256:3f5a9c0b7d21 sklearn.pipeline.Pipeline>
    """
    project = origin.project()
    if to is None and project is None:
        raise Usage(
            "it is not said where the bundle goes",
            hint="give to='bundle', or work in a project made with 'assay init'",
        )
    made, stored = _frozen(
        model, tables.of(X), y=y, name=name, time=time, data=data, params=params
    )
    bundle = Bundle(made, stored)
    bundle.prove()
    if to is not None:
        contents.write_folder(made, Path(to))
    _record(made, project)
    return bundle


def _frozen(
    model: Any,
    given: dict[str, Any],
    *,
    y: Any,
    name: str | None,
    time: Any,
    data: Any,
    params: Any,
) -> tuple[Contents, Any]:
    """Return the contents of the bundle, and the model as its file has it."""
    flavour_name = flavours.of(model)
    flavour = flavours.get(flavour_name, where="model")
    features, days = _split_time(given, time)
    described = flavour.describe(model, columns=tuple(features))
    columns, values = signatures.infer(features)
    target = None if y is None else _target(y, n_rows=tables.n_rows(values))
    file = flavour.dump(model)
    stored = flavour.load(file, where=described.type)
    answered, signature = _answer(flavour, (model, stored), described, columns, values)
    prediction = _prediction(flavour, stored, described, values)
    counted = reference.make(values, days=days, target=target, prediction=prediction)
    files = {
        flavour.FILE: file,
        GOLDEN: golden.dump(answered),
        REFERENCE: reference.dump(counted),
    }
    found = origin.of(data, params)
    made = Index(
        bundle=FORMAT,
        name=name,
        model=Model(
            file=flavour.FILE, flavour=flavour_name, type=described.type, input=described.input
        ),
        signature=signature,
        environment=environment.capture(described.packages),
        data=found.data,
        params=found.params,
        files={path: index.file_of(content) for path, content in files.items()},
    )
    return contents.make(made, files, where=name or "bundle"), stored


def _answer(
    flavour: Flavour,
    models: tuple[Any, Any],
    described: Described,
    columns: tuple[Column, ...],
    values: Mapping[str, Values],
) -> tuple[Golden, Signature]:
    """Return the golden examples as the stored model answers them, and the signature.

    The model that was fitted answers them too: a file that lost something is never handed out.
    """
    fitted, stored = models
    probabilities = flavour.has_probabilities(stored)
    places = golden.choose(values)
    chosen = {name: column[places] for name, column in values.items()}

    def by(model: Any) -> dict[str, Values]:
        return _ask(flavour, model, described, chosen, probabilities=probabilities)

    with flavour.one_thread():
        answers = by(stored)
        made = golden.make(chosen, lambda _: answers)
        golden.prove(made, lambda _: by(fitted), where=described.type)
    output = flavour.output(stored, answers)
    return made, Signature(task=described.task, columns=columns, output=output)


def _prediction(
    flavour: Flavour, stored: Any, described: Described, values: Mapping[str, Values]
) -> Values | None:
    """Return the stored model's answers for the training rows; None for several a row."""
    with flavour.one_thread():
        found = _ask(flavour, stored, described, values, probabilities=False)["predict"]
    if found.ndim != 1:
        return None
    return found.astype(object) if found.dtype.kind in "US" else found


def _ask(
    flavour: Flavour,
    model: Any,
    described: Described,
    rows: Mapping[str, Values],
    *,
    probabilities: bool,
) -> dict[str, Values]:
    """Return the answers of a model for some rows of X."""
    try:
        return flavour.predict(model, rows, form=described.input, probabilities=probabilities)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise Error(
            f"the model cannot answer rows of X: {error}",
            where=described.type,
            hint="give X as the model was fitted on: a matrix of these columns in this order, "
            "or the data frame",
        ) from error


def _split_time(given: dict[str, Any], time: Any) -> tuple[dict[str, Any], Any]:
    """Return the features, and the day of each row where that is known."""
    n_rows = tables.n_rows(given)
    if not n_rows:
        raise InvalidRows("X has no row", where="X", hint="give the rows of the training")
    if time is None:
        time = origin.time_column(given)
    if time is None:
        return given, None
    if not isinstance(time, str):
        return given, reference.days_of(time, n_rows=n_rows)
    if time not in given:
        raise NotFound(
            f"X has no column '{time}' with the time of a row",
            where="time",
            hint=did_you_mean(time, given) or "give the times as an array",
        )
    features = {name: column for name, column in given.items() if name != time}
    return features, reference.days_of(given[time], n_rows=n_rows)


def _target(y: Any, *, n_rows: int) -> Values:
    columns, values = signatures.infer(tables.of({"y": y}))
    if len(values["y"]) != n_rows:
        raise InvalidRows(f"y has {len(values['y'])} values, X has {n_rows} rows", where="y")
    return values[columns[0].name]


def _record(made: Contents, project: Project | None) -> None:
    """Keep the files, and let the run that goes on say that it made them."""
    if project is None:
        return
    contents.keep(made, project.objects)
    active = origin.active_run()
    if active is None:
        return
    from assay.ledger.writer import Artifact

    folder = made.index.name or "bundle"
    rows = {**made.index.files, index.INDEX: index.file_of(made.index_bytes)}
    active.set_tag("bundle", made.id)
    active.made(
        [
            Artifact(path=f"{folder}/{path}", oid=f"sha256:{file.sha256}", size=file.size)
            for path, file in sorted(rows.items())
        ],
        thing=f"bundle:{made.id}",
    )
