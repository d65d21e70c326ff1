"""`assay.yaml`, the declaration: what DVC has no word for. Typed; unknown keys are refused.

Sections are read by the rooms that need them; here they are only checked for form. Durations are
texts such as `7d`, `12h`, `30m` or `10s`, and count event time unless a key says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from assay.base.errors import NotFound, did_you_mean
from assay.project import git, named
from assay.project.complaints import explained
from assay.project.grammar import Source
from assay.project.workspace import Project

FILE = "assay.yaml"

Duration = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?[smhdw]$", description="such as 7d, 12h, 30m, 10s")
]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Task = Literal["regression", "binary", "multiclass"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping with known keys."""


class Table(_Section, frozen=True):
    """A table of the project: CSV or Parquet.

    Attributes
    ----------
    path : str
        File or folder, relative to the project's root.
    time : str or None
        The column with the event time of a row.
    key : list of str
        The columns that name a row; no two rows have the same.
    lateness : str
        How late rows may arrive; the watermark is the largest event time less this.
    """

    path: str
    time: str | None = None
    key: list[str] = []
    lateness: Duration = "0s"


class Data(_Section, frozen=True):
    """The tables by the names that other sections and commands give them."""

    tables: dict[Name, Table] = {}


class Presence(_Section, frozen=True):
    """How many rows must have a value.

    Attributes
    ----------
    min_fraction : float or None
        The share of rows; 1.0 is every one.
    min_count : int or None
        The number of rows. Without both the column may be missing.
    """

    min_fraction: Share | None = None
    min_count: Annotated[int, Meta(ge=0)] | None = None


class NumberDomain(_Section, frozen=True):
    """The range of a number; both ends belong to it.

    Attributes
    ----------
    min, max : float or None
        The smallest, and the largest value that is allowed.
    disallow_nan, disallow_inf : bool
        Whether NaN, or an infinity, is an anomaly.
    """

    min: float | None = None
    max: float | None = None
    disallow_nan: bool = False
    disallow_inf: bool = False


class StringDomain(_Section, frozen=True):
    """The values of a text.

    Attributes
    ----------
    value : list of str
        Those that are known.
    min_domain_mass : float
        The share of values that must be among them.
    """

    value: list[str] = []
    min_domain_mass: Share = 1.0


class TimeDomain(_Section, frozen=True):
    """The range of a time; both ends belong to it.

    Attributes
    ----------
    min, max : str or None
        The first, and the last moment that is allowed, ISO 8601, in quotes.
    """

    min: str | None = None
    max: str | None = None


class ColumnSchema(_Section, frozen=True):
    """What is expected of a column, in TFDV's words; a column without it is an anomaly.

    Attributes
    ----------
    type : str
        Of its values; texts are BYTES. A column of integers is a FLOAT, too.
    int_domain, float_domain : NumberDomain or None
        The range of the numbers; also of texts (BYTES) that have to be such numbers.
    unique : bool
        Whether no two rows may have the same value.
    inferred : bool
        Whether it is a guess that nobody looked at yet: its ranges and `unique` only warn, and
        `assay schema infer --write` may change it.
    """

    type: Literal["INT", "FLOAT", "BYTES", "BOOL", "TIME", "STRUCT"]
    presence: Presence | None = None
    int_domain: NumberDomain | None = None
    float_domain: NumberDomain | None = None
    string_domain: StringDomain | None = None
    time_domain: TimeDomain | None = None
    unique: bool = False
    inferred: bool = False


class TableSchema(_Section, frozen=True):
    """What is expected of a table.

    Attributes
    ----------
    min_examples_count : int or None
        The least number of rows; without it 1.
    max_examples_count : int or None
        The greatest number of rows.
    freshness : str or None
        How old the newest row may be, at present or at the moment that `--now` gives.
    """

    columns: dict[str, ColumnSchema] = {}
    min_examples_count: Annotated[int, Meta(ge=0)] | None = None
    max_examples_count: Annotated[int, Meta(ge=0)] | None = None
    freshness: Duration | None = None


class Model(_Section, frozen=True):
    """What is predicted, and how it is called in the registry.

    Attributes
    ----------
    name : str
        The name in the registry: `NAME@1`, `NAME@production`.
    task : str
        The kind of question.
    target : str
        The column with what is predicted.
    classes : list
        For a classification: all classes as they stand in the target; of two, the positive one
        last. Without it, those in the rows, in order.
    """

    name: Name
    task: Task
    target: str
    classes: list[str | int] = []


class Baseline(_Section, frozen=True):
    """A naive predictor that each candidate is put beside: exactly one of these.

    Attributes
    ----------
    majority : bool
        `true`: always the most frequent class.
    season : str or None
        The target one season before the row; of its own series, where the key has columns beside
        the time.
    sql : str or None
        An SQL expression over a row of the evaluation table: a column, or a constant.
    """

    majority: bool = False
    season: Duration | None = None
    sql: str | None = None


class Evaluation(_Section, frozen=True):
    """On which rows models are judged, by which metrics, in which slices.

    Attributes
    ----------
    table : str
        A table of `data` that has the target; its rows are those that no candidate was trained
        on.
    metrics : list of str
        By which a model is measured.
    slices : dict
        SQL predicate over a row, by name: the metrics of these rows are shown, too.
    blocks : str or None
        Length of a block where rows are in time order; by default a day for a table with a time
        column. Null says that rows are independent.
    min_n : int
        A slice with fewer rows is listed as 'too few'.
    """

    table: str
    metrics: list[str]
    slices: dict[Name, str] = {}
    baselines: dict[Name, Baseline] = {}
    blocks: Duration | msgspec.UnsetType | None = msgspec.UNSET
    min_n: Annotated[int, Meta(ge=1)] = 30


class GateRule(_Section, frozen=True):
    """How far a metric may fall behind the base: the larger of an absolute and a relative margin.

    Attributes
    ----------
    max_drop : float
        In units of the metric.
    max_drop_relative : float
        As a share of the base's value.
    min : float or None
        What the candidate has to reach, whatever the base does: a floor for the lower end of its
        interval; for a loss, a ceiling for the upper end.
    """

    max_drop: Annotated[float, Meta(ge=0)] = 0.0
    max_drop_relative: Annotated[float, Meta(ge=0)] = 0.01
    min: float | None = None


class Gate(_Section, frozen=True):
    """The rules by which a candidate may replace the base.

    Attributes
    ----------
    metrics : dict
        The metrics that decide, of those under `evaluation`, each with its rule.
    slices : bool
        Whether each slice decides, too; else they are for information.
    first : str
        What is said of a first model, where there is no base: that there is not enough to tell,
        or pass if it is surely better than the baseline.
    baseline : str or None
        Which of `evaluation.baselines` that is; without it, the first.
    """

    metrics: dict[str, GateRule]
    slices: bool = False
    first: Literal["inconclusive", "pass-if-better-than-baseline"] = "inconclusive"
    baseline: str | None = None


class Deploy(_Section, frozen=True):
    """Where the model answers.

    Attributes
    ----------
    endpoint : str
        The name that `assay serve` and `assay deploy --to` take.
    alias : str
        The alias of the version in production, which is the base of the gate.
    """

    endpoint: Name
    alias: Name = "production"


class Performance(_Section, frozen=True):
    """When the model counts as worse than it was at its gate.

    Attributes
    ----------
    metric : str
        A metric that is a mean over rows, such as `mae` or `accuracy`.
    tolerance : float
        How much larger the loss may get, as a share of what it was at the gate.
    coverage : float
        The share of a window's rows whose truth must have come before it is complete.
    delay : str
        How long after its end a window waits for truth, at most.
    """

    metric: str
    tolerance: Annotated[float, Meta(ge=0)] = 0.15
    coverage: Share = 0.9
    delay: Duration = "14d"


class Monitor(_Section, frozen=True):
    """What is watched of an endpoint, in windows of event time.

    Attributes
    ----------
    window : str
        Its length: whole days.
    false_alerts_a_year : float
        How many false alerts a year are expected at most, over all columns and performance.
    columns : list of str or None
        Inputs to compare with the training data; by default all that the model takes.
    min_effect : float
        The Jensen-Shannon distance, without the part of chance, below which drift is not told.
    """

    window: Duration = "7d"
    false_alerts_a_year: Annotated[float, Meta(gt=0)] = 1.0
    columns: list[str] | None = None
    min_effect: Share = 0.05
    performance: Performance | None = None


class RetrainData(_Section, frozen=True):
    """The table that grows, and what it grows from; no retraining without it.

    Attributes
    ----------
    table : str
        A table of `data`, which git or Assay tracks.
    source : str
        `traffic`: logged inputs that have their truth; or a folder or a file with new rows, which
        others write.
    columns : dict
        For `traffic`: columns of the table as SQL over a logged row, which has the columns of the
        request and the target by its name. The others take the column of their own name, or are
        empty.
    """

    table: Name
    source: str = "traffic"
    columns: dict[str, str] = {}


class Retrain(_Section, frozen=True):
    """What starts a retraining, on which data and code.

    Attributes
    ----------
    on : list
        What starts one beside the schedule: an alert of drift or performance, or new rows.
    every : str or None
        Schedule by event time: how long after the last scheduled one, or one that deployed.
    cron : str or None
        Schedule by the wall clock of `time_zone`: minute, hour, day, month, day of the week.
    time_zone : str
        Of `cron`, such as `Europe/Berlin`.
    hold_out : str
        The last stretch of event time that has truth: candidate and base are judged on it, and
        the candidate is not trained on it.
    params : dict
        Parameters of `params.yaml` that the loop sets, by their name (`train.test_days: 14`).
    at_most_every : str or None
        The shortest event time between two retrainings; by default a window.
    limit : str
        Wall clock that a retraining may take; then it is ended.
    branch : str or None
        Where the code comes from; by default the branch that is checked out when it starts.
    """

    on: list[Literal["drift", "performance", "data"]] = []
    every: Duration | None = None
    cron: str | None = None
    time_zone: str = "UTC"
    hold_out: Duration = "14d"
    params: dict[str, Any] = {}
    at_most_every: Duration | None = None
    limit: Duration = "1h"
    data: RetrainData | None = None
    branch: str | None = None


class Tests(_Section, frozen=True):
    """Where the tests of the code leave their results.

    Attributes
    ----------
    junit : str
        A JUnit file, relative to the project's root.
    """

    junit: str


class Declaration(_Section, frozen=True):
    """All of `assay.yaml`; every section may be missing."""

    data: Data = Data()
    schema: dict[Name, TableSchema] = {}
    model: Model | None = None
    evaluation: Evaluation | None = None
    gate: Gate | None = None
    deploy: Deploy | None = None
    monitor: Monitor | None = None
    retrain: Retrain | None = None
    tests: Tests | None = None
    settings: dict[str, dict[str, Any]] = {}


def read(project: Project) -> Declaration:
    """Read the declaration of a project; an empty one where there is no file."""
    path = project.root / FILE
    if not path.exists():
        return Declaration()
    return parse(Source.of(path, shown=FILE))


def read_at(project: Project, commit: str) -> Declaration:
    """Read the declaration as it is in a commit; an empty one where that has no such file."""
    path = (project.root / FILE).relative_to(project.git_root).as_posix()
    content = git.read_file(project.git_root, commit, path)
    if content is None:
        return Declaration()
    shown = f"{FILE} at {commit[:12]}"
    return parse(Source(shown, content.decode(errors="replace")))


def parse(source: Source) -> Declaration:
    """Check a text against the grammar.

    Raises
    ------
    Invalid
        With file, line, and the nearest name for an unknown key.
    """
    data = source.load()
    if data is None:
        return Declaration()
    try:
        declared = msgspec.convert(data, Declaration)
    except msgspec.ValidationError as error:
        raise explained(source, data, str(error), grammar=Declaration) from error
    named.check(source, declared)
    return declared


def json_schema() -> dict[str, Any]:
    """Return the grammar as JSON schema, for editors."""
    schema = msgspec.json.schema(Declaration)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE, **schema}


def seconds(duration: str) -> float:
    """Return a duration in seconds.

    Examples
    --------
    >>> seconds("7d"), seconds("1.5h")
    (604800.0, 5400.0)
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    return float(duration[:-1]) * units[duration[-1]]


def table(declared: Declaration, name: str) -> Table:
    """Return a table by its name.

    Raises
    ------
    NotFound
        If the declaration has none of that name.
    """
    if name in declared.data.tables:
        return declared.data.tables[name]
    raise NotFound(
        f"there is no table '{name}'",
        where=f"{FILE}: data.tables",
        hint=did_you_mean(name, declared.data.tables) or "declare it with its path",
    )
