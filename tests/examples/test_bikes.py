"""The bikes example keeps its promises: no look into the future, equal bytes, figures as told."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

import assay
from assay import Error
from assay.ledger import runs
from assay.ledger.database import open_ledger
from tests import make

ROOT = Path(__file__).parents[2]
BIKES = ROOT / "examples" / "bikes"
DVC = ROOT / ".peers" / "dvc" / "bin" / "dvc"
STAGES = ("validate", "prepare", "features", "train", "evaluate")
MODULES = ("ask", "evaluate", "features", "prepare", "tables", "train")
NOT_OF_THE_PROJECT = {"console.py", "demo.py", "results.py", "year.py"}
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
NOON = np.datetime64("2011-06-15T12", "h")

counts = st.integers(0, 1000)
histories = st.dictionaries(st.integers(-800, 100), counts, max_size=60)  # hours from NOON
# Hours that lags do look at, so that most histories have something to find.
likely = st.dictionaries(st.sampled_from([-672, -504, -336, -168, -167, -1]), counts)


@pytest.fixture(scope="module")
def bikes() -> Iterator[dict[str, Any]]:
    """The example's modules, which import each other by bare names, as a script's do."""
    sys.path.insert(0, str(BIKES))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(BIKES))
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def features(bikes: dict[str, Any]) -> Any:
    return bikes["features"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 2011 in which each stage ran."""
    return run_stages(make_project(tmp_path_factory.mktemp("bikes")), *STAGES)


def make_project(folder: Path) -> Path:
    """Make a project of the example's own files and the rows of 2011."""
    make.project(folder)
    for source in BIKES.iterdir():
        if source.is_file() and source.name not in NOT_OF_THE_PROJECT:
            shutil.copy(source, folder)
    rows = (BIKES / "data" / "bikes.csv").read_text().splitlines(keepends=True)
    (folder / "data").mkdir()
    (folder / "data" / "rentals.csv").write_text(
        rows[0] + "".join(row for row in rows if ",2011-" in row)
    )
    return folder


def run_stages(project: Path, *stages: str, **environ: str) -> Path:
    """Run the commands of `dvc.yaml` outside of any run, as a person would by hand."""
    declared = YAML(typ="safe").load(project / "dvc.yaml")["stages"]
    for stage in stages:
        cmd = declared[stage]["cmd"]
        for command in [cmd] if isinstance(cmd, str) else cmd:
            run(project, command, **environ)
    return project


def run(project: Path, command: str, **environ: str) -> str:
    """Run a command line with this interpreter's own programs, and return what it prints."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    done = subprocess.run(
        command,
        shell=True,
        cwd=project,
        env=mine | {"PATH": PATH} | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Error(done.stderr.strip(), where=command)
    return done.stdout


def history_of(rows: dict[int, int]) -> dict[str, np.ndarray]:
    """A history table from {hours from NOON: rentals}."""
    hours = np.array(list(rows), dtype="timedelta64[h]")
    return {"timestamp": NOON + hours, "cnt": np.array(list(rows.values()), dtype=np.int64)}


def lags_at(features: Any, rows: dict[int, int], *hours: int) -> np.ndarray:
    """The lags of some hours from NOON, as an array of shape (n_hours, 2)."""
    lags = features.lags(history_of(rows), NOON + np.array(hours, dtype="timedelta64[h]"))
    assert tuple(lags) == features.LAGS
    return np.column_stack(list(lags.values()))


@given(history=histories, known=likely, young=counts, hour=st.integers(-24, 24))
def test_no_row_sees_anything_younger_than_168_hours(features, history, known, young, hour):
    seen = {at: value for at, value in (history | known).items() if at <= hour - 168}
    unseen = dict.fromkeys(range(hour - 167, hour + 100), young)

    before = lags_at(features, seen, hour)
    after = lags_at(features, seen | unseen, hour)

    np.testing.assert_array_equal(before, after)


@given(history=histories, known=likely)
def test_lags_are_the_rentals_at_the_same_hour_of_the_weeks_before(features, history, known):
    rows = history | known
    weeks = [rows[-168 * week] for week in (1, 2, 3, 4) if -168 * week in rows]

    [[last_week, four_weeks]] = lags_at(features, rows, 0)

    np.testing.assert_equal(last_week, float(rows.get(-168, np.nan)))
    np.testing.assert_equal(four_weeks, sum(weeks) / len(weeks) if weeks else np.nan)


def test_a_missing_hour_is_nan_and_left_out_of_the_mean(features):
    rows = {-169: 1, -167: 2, -336: 30, -672: 50}

    [[last_week, four_weeks]] = lags_at(features, rows, 0)

    assert np.isnan(last_week)
    assert four_weeks == 40.0


def test_an_empty_history_gives_nan(features):
    assert np.isnan(lags_at(features, {}, 0, 5)).all()


@given(history=histories, known=likely, hours=st.lists(st.integers(-24, 24), min_size=1))
def test_one_row_gets_the_same_lags_as_many(features, history, known, hours):
    rows = history | known

    together = lags_at(features, rows, *hours)
    one_by_one = [lags_at(features, rows, hour)[0] for hour in hours]

    np.testing.assert_array_equal(together, np.array(one_by_one))


@given(history=histories, known=likely, order=st.randoms(use_true_random=False))
def test_the_order_of_the_history_does_not_matter(features, history, known, order):
    rows = list((history | known).items())
    shuffled = order.sample(rows, len(rows))

    np.testing.assert_array_equal(
        lags_at(features, dict(rows), 0), lags_at(features, dict(shuffled), 0)
    )


def test_lags_of_the_real_gaps_go_by_time_and_not_by_place(bikes, made):
    prepared = bikes["tables"].read(str(made / "work" / "prepared.parquet"))
    hours = prepared["timestamp"].astype("datetime64[h]")
    by_hour = dict(zip(hours.tolist(), prepared["cnt"].tolist(), strict=True))
    n_gaps = int((hours[-1] - hours[0]) / np.timedelta64(1, "h")) + 1 - len(hours)

    week_before = (hours - np.timedelta64(168, "h")).tolist()
    expected = [float(by_hour.get(hour, np.nan)) for hour in week_before]

    assert n_gaps > 0
    np.testing.assert_array_equal(
        bikes["features"].lags(prepared, hours)["cnt_last_week"], np.array(expected)
    )


def test_a_request_gets_the_features_that_training_saw(bikes, made):
    features, tables = bikes["features"], bikes["tables"]
    prepared = tables.read(str(made / "work" / "prepared.parquet"))
    trained_on = features.matrix(tables.read(str(made / "work" / "features.parquet")))

    for row in (0, 700, 5000, len(trained_on) - 1):
        request = {name: column[[row]] for name, column in prepared.items() if name != "cnt"}
        week_ago = prepared["timestamp"] <= request["timestamp"] - np.timedelta64(168, "h")
        history = {name: column[week_ago] for name, column in prepared.items()}
        np.testing.assert_array_equal(
            features.matrix(features.table(request, history))[0], trained_on[row]
        )


def test_columns_that_give_the_target_away_change_nothing(features, made, tmp_path):
    project = make_project(tmp_path)
    raw = project / "data" / "rentals.csv"
    header, *rows = [row.split(",") for row in raw.read_text().splitlines()]
    for row in rows:
        for leak in ("instant", "yr", "casual", "registered"):
            row[header.index(leak)] = "1"
    raw.write_text("".join(",".join(row) + "\n" for row in [header, *rows]))

    run_stages(project, "prepare", "features")

    assert not {"instant", "dteday", "yr", "casual", "registered", "cnt"} & {*features.FEATURES}
    for name in ("work/prepared.parquet", "work/features.parquet"):
        assert (project / name).read_bytes() == (made / name).read_bytes()


def edit(project: Path, old: str, new: str) -> None:
    """Replace a piece of the raw rows."""
    raw = project / "data" / "rentals.csv"
    text = raw.read_text()
    assert old in text
    raw.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2,2011-01-01,1,0,1,1,", "2,2011-01-01,1,0,1,0,", "row 2: 2011-01-01T00"),
        ("2,2011-01-01,1,0,1,1,", "2,2011-01-02,1,0,1,0,", "is in row 2, too"),
        ("0.22,0.2727,0.8,", "0.22,,0.8,", "row 2: 'atemp' is empty"),
    ],
)
def test_rows_that_repeat_or_lack_a_value_stop_prepare(tmp_path, old, new, message):
    project = make_project(tmp_path)
    edit(project, old, new)

    with pytest.raises(Error, match=re.escape(message)):
        run_stages(project, "prepare")

    assert not (project / "work").exists()


def test_rows_that_came_late_and_without_what_no_request_has_make_equal_bytes(made, tmp_path):
    project = make_project(tmp_path)
    raw = project / "data" / "rentals.csv"
    header, *rows = [row.split(",") for row in raw.read_text().splitlines()]
    for row in rows[6000:]:
        for absent in ("instant", "yr", "casual", "registered"):
            row[header.index(absent)] = ""
    late = [*rows[:6000], *rows[7000:], *rows[6000:7000]]
    raw.write_text("".join(",".join(row) + "\n" for row in [header, *late]))

    run_stages(project, "validate", "prepare", "features")

    for name in ("work/prepared.parquet", "work/features.parquet"):
        assert (project / name).read_bytes() == (made / name).read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "anomaly"),
    [
        ("0.22,0.2727,0.8,", "22,0.2727,0.8,", "error: temp: "),
        ("3,2011-01-01,1,0,1,2,", "3,2011-01-01,1,0,1,1,", "NOT_UNIQUE"),
        ("instant,dteday,season,", "instant,dteday,saison,", "error: season: "),
    ],
)
def test_data_that_are_not_as_declared_stop_the_pipeline(tmp_path, old, new, anomaly):
    project = make_project(tmp_path)
    edit(project, old, new)
    make.done(project, "add", "data/rentals.csv")

    shown = make.process(project, "repro", env={"PATH": PATH})

    assert shown.code == 255
    assert anomaly in shown.out
    assert not any((project / "work").glob("*"))


def test_the_declaration_holds_together(made):
    checked = json.loads(make.done(made, "check", "--json"))

    assert checked["problems"] == []
    assert set(checked["sections"]) >= {"data", "schema", "model", "evaluation", "gate", "deploy"}


def test_the_features_are_what_is_expected_of_them(made):
    assert "valid" in make.done(made, "validate", "features")


def test_two_runs_in_two_places_give_equal_bytes(made, tmp_path):
    again = run_stages(make_project(tmp_path), *STAGES, PYTHONHASHSEED="1", OMP_NUM_THREADS="2")

    declared = YAML(typ="safe").load(made / "dvc.yaml")["stages"].values()
    outs = [
        out if isinstance(out, str) else next(iter(out))
        for stage in declared
        for out in (*stage["outs"], *stage.get("metrics", ()))
    ]
    assert len(outs) == 9
    for out in outs:
        assert contents(again / out) == contents(made / out), out


def contents(path: Path) -> Any:
    """What a file has, or what the files of a folder have by their names."""
    if path.is_dir():
        return {child.name: child.read_bytes() for child in path.iterdir()}
    return path.read_bytes()


def test_a_bundle_answers_as_the_model_that_was_fitted(bikes, made):
    params = YAML(typ="safe").load(made / "params.yaml")
    table = bikes["tables"].read(str(made / "work" / "features.parquet"))
    train, test = bikes["tables"].split(table, params["test_days"])
    fitted = bikes["train"].fit(train, params)
    rows = {name: test[name] for name in bikes["features"].FEATURES}

    bundle = assay.load(made / "bundle")

    np.testing.assert_array_equal(
        bundle.predict(rows), fitted.predict(bikes["features"].matrix(test))
    )


def test_a_bundle_says_what_its_training_read_and_was_told(bikes, made):
    index = assay.load(made / "bundle").index

    assert list(index.data) == ["work/features.parquet"]
    assert index.params["model.max_leaf_nodes"] == 31
    assert tuple(column.name for column in index.signature.columns) == bikes["features"].FEATURES
    assert assay.load(made / "bundle").reference.days[-1] == "2011-11-05"


def test_threads_and_seed_come_from_the_parameters(made, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(made, project)
    params = project / "params.yaml"
    text = params.read_text().replace("threads: 1", "threads: 3").replace("seed: 7", "seed: 8")
    params.write_text(text)
    threads = "sklearn.utils._openmp_helpers._openmp_effective_n_threads()"

    printed = run(
        project,
        f"python -c 'import train; train.main(); import sklearn; print({threads})'",
        OMP_NUM_THREADS="1",
    )

    assert printed.splitlines()[-1] == "3"
    assert assay.load(project / "bundle").model.random_state == 8


def test_shuffled_labels_make_a_model_that_knows_nothing(bikes, made):
    params = YAML(typ="safe").load(made / "params.yaml") | {"shuffle_labels": True}
    table = bikes["tables"].read(str(made / "work" / "features.parquet"))
    train, test = bikes["tables"].split(table, params["test_days"])

    model = bikes["train"].fit(train, params)

    assert model.score(bikes["features"].matrix(test), test["cnt"]) < 0.1


def test_a_row_counts_less_the_older_it_is(bikes, made):
    train = bikes["tables"].read(str(made / "work" / "features.parquet"))

    weights = bikes["train"].age_weights(train, 90)

    day = train["timestamp"].astype("datetime64[D]")
    assert np.unique(weights[day == day.max()]) == 1.0
    ninety_days_older = day == day.max() - np.timedelta64(90, "D")
    np.testing.assert_allclose(weights[ninety_days_older], 1 / np.e)
    assert (np.diff(weights) >= 0).all()


def test_the_example_names_no_day_of_the_second_year_but_its_first():
    texts = {path.name: path.read_text() for path in BIKES.iterdir() if path.is_file()}
    del texts["README.md"]  # what a person may type
    named = {day for text in texts.values() for day in re.findall(r"\b20\d\d-\d\d-\d\d", text)}

    assert named == {"2011-01-01", "2012-01-01"}


def test_a_table_comes_back_from_its_file_as_it_was(bikes, tmp_path):
    table = {
        "timestamp": NOON.astype("datetime64[us]") + np.arange(3),
        "cnt": np.array([1, 2, 3]),
        "cnt_last_week": np.array([np.nan, 0.1, 1e300]),
    }

    bikes["tables"].write(table, str(tmp_path / "new" / "table.parquet"))
    back = bikes["tables"].read(str(tmp_path / "new" / "table.parquet"))

    assert list(back) == list(table)
    for name, column in table.items():
        assert type(back[name]) is np.ndarray
        assert back[name].dtype == column.dtype
        np.testing.assert_array_equal(back[name], column)


def test_the_test_rows_are_the_last_days_and_no_row_is_lost(bikes, made):
    table = bikes["tables"].read(str(made / "work" / "features.parquet"))

    train, test = bikes["tables"].split(table, 56)

    assert train["timestamp"].max() < test["timestamp"].min()
    assert len(np.unique(test["timestamp"].astype("datetime64[D]"))) == 56
    assert len(train["cnt"]) + len(test["cnt"]) == len(table["cnt"])


def test_the_model_beats_last_week(made):
    metrics = json.loads((made / "metrics.json").read_text())

    assert metrics["mae"] == pytest.approx(33.3, abs=0.5)  # as the README says
    assert metrics["baseline_mae"] == pytest.approx(47.1, abs=0.1)
    assert metrics["r2"] > 0.7
    assert (
        (made / "plots" / "daily.csv").read_text().startswith("day,actual,predicted\n2011-11-06")
    )
    assert len((made / "plots" / "daily.csv").read_text().splitlines()) == 1 + 56
    assert len((made / "plots" / "by_hour.csv").read_text().splitlines()) == 1 + 24


def test_a_model_of_2011_ages_in_2012_as_the_readme_says(bikes):
    features, prepare = bikes["features"], bikes["prepare"]
    params = YAML(typ="safe").load(BIKES / "params.yaml")
    prepared = prepare.read_raw([str(BIKES / "data" / "bikes.csv")])
    table = prepared | features.table(prepared, history=prepared)
    of_2011, of_2012 = bikes["tables"].split(table, 366)
    known = ~np.isnan(of_2012["cnt_last_week"])

    model = bikes["train"].fit(of_2011, params)
    predicted = model.predict(features.matrix(of_2012))
    metrics = bikes["evaluate"].score(
        of_2012["cnt"][known], predicted[known], of_2012["cnt_last_week"][known]
    )

    assert metrics["mae"] == pytest.approx(52.1, abs=0.5)
    assert metrics["baseline_mae"] == pytest.approx(60.6, abs=0.1)


def test_a_recorded_run_keeps_the_learning_curve(made, tmp_path, monkeypatch):
    project = tmp_path / "project"
    shutil.copytree(made, project)
    monkeypatch.chdir(tmp_path)
    where = str(tmp_path / "ledger.db")
    monkeypatch.setenv("ASSAY_LEDGER", where)

    with assay.run("bikes") as recorded:
        run_stages(project, "train", ASSAY_RUN=recorded.id, ASSAY_LEDGER=where)

    with open_ledger(where, create=False) as ledger:
        curve = runs.history(ledger, recorded.id, "train_loss")
        metrics = runs.get(ledger, recorded.id).metrics
    logged = {
        key: metric.value for key, metric in metrics.items() if not key.startswith("system/")
    }
    assert [point.step for point in curve] == list(range(1, 101))
    assert curve[-1].value < curve[0].value
    assert logged == {"train_loss": curve[-1].value}


def test_each_stage_depends_on_every_file_that_its_script_imports():
    def imports(module: str) -> set[str]:
        text = (BIKES / f"{module}.py").read_text()
        found = set(re.findall(r"^ *(?:import|from) (\w+)", text, re.MULTILINE))
        local = {name for name in found if (BIKES / f"{name}.py").exists()} - {module}
        return {module}.union(*(imports(name) for name in local))

    for name, stage in YAML(typ="safe").load(BIKES / "dvc.yaml")["stages"].items():
        scripts = {dep.removesuffix(".py") for dep in stage["deps"] if dep.endswith(".py")}
        expected = imports(name) if (BIKES / f"{name}.py").exists() else set()
        assert scripts == expected, name


@pytest.mark.peer
@pytest.mark.skipif(not DVC.exists(), reason="real DVC is not installed; 'make test' does that")
def test_real_dvc_runs_the_pipeline_and_finds_nothing_left_to_do(tmp_path):
    project = make_project(tmp_path)
    environ = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "PATH": PATH,
    }

    def dvc(*arguments: str) -> str:
        done = subprocess.run(
            [DVC, *arguments],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    dvc("add", "-q", "data/rentals.csv")
    dvc("repro", "-q")

    assert json.loads(dvc("status", "--json")) == {}
    assert json.loads(dvc("metrics", "show", "--json"))[""]["data"]["metrics.json"]["data"]
    assert set(json.loads(dvc("plots", "show", "--json"))["data"]) == {
        "plots/daily.csv",
        "plots/by_hour.csv",
    }
