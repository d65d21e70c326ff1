"""What a bundle can be made of, what it answers afterwards, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.base.errors import Error, NotFound, Usage
from assay.bundle.columns import InvalidRows
from assay.bundle.load import load
from assay.bundle.make import make
from assay.objects.hashing import hash_bytes
from tests.bundle import trained


def doubled(values: Any) -> Any:
    return values * 2


def rows_of(columns: dict[str, Any], n: int) -> list[dict[str, Any]]:
    return [{name: column[at].item() for name, column in columns.items()} for at in range(n)]


def test_a_regression_answers_as_the_model_did_by_rows_and_by_columns(tmp_path: Path):
    bundle = trained.bundle(tmp_path / "bundle")
    columns, loaded = trained.table(), load(tmp_path / "bundle")
    expected = trained.boosting().predict(trained.matrix(columns))
    assert np.array_equal(loaded.predict(columns), expected)
    whole = trained.whole()
    expected = trained.boosting().predict(trained.matrix(whole))
    assert np.array_equal(loaded.predict(rows_of(whole, 5)), expected[:5])
    back = [dict(reversed(row.items())) for row in rows_of(whole, 5)]
    assert np.array_equal(loaded.predict(back), expected[:5])
    output = bundle.signature.output
    assert (output.type, output.shape, output.classes) == ("float64", (-1,), None)
    assert bundle.signature.task == "regression"
    assert loaded.proof == bundle.proof
    assert loaded.proof is not None
    assert (loaded.proof.n_rows, loaded.proof.bit_equal) == (20, True)
    with pytest.raises(Error, match="no probabilities"):
        loaded.predict_proba(columns)


def test_a_classification_answers_with_classes_and_probabilities(tmp_path: Path):
    bundle = make(trained.forest(), X=trained.table(), to=tmp_path / "bundle")
    matrix = trained.matrix(trained.table())
    loaded = load(tmp_path / "bundle")
    assert bundle.signature.output.classes == ["busy", "calm"]
    assert loaded.predict(trained.table()).tolist() == trained.forest().predict(matrix).tolist()
    found = loaded.predict_proba(trained.table())
    assert np.allclose(found, trained.forest().predict_proba(matrix), rtol=0, atol=1e-15)


def test_preprocessing_goes_with_the_model(tmp_path: Path):
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = {
        "town": np.array(["Bern", "Genf", "Chur", "Bern"] * 10, object),
        "age": np.array([float("nan"), 30.0, 41.5, 22.0] * 10),
    }
    matrix = np.column_stack([columns["town"], columns["age"].astype(object)])
    steps = ColumnTransformer(
        [
            ("town", OneHotEncoder(handle_unknown="ignore"), [0]),
            ("age", make_pipeline(SimpleImputer(), StandardScaler()), [1]),
        ]
    )
    model = make_pipeline(steps, LogisticRegression()).fit(matrix, [True, False] * 20)
    make(model, X=columns, to=tmp_path / "b")
    loaded = load(tmp_path / "b")
    given = [{"town": "Thun", "age": None}, {"town": "Chur", "age": 20}]
    expected = model.predict_proba(np.array([["Thun", np.nan], ["Chur", 20.0]], object))
    assert np.allclose(loaded.predict_proba(given), expected)
    assert loaded.signature.output.classes == [False, True]
    assert [c.datatype for c in loaded.signature.columns] == ["BYTES", "FP64"]


class OwnScaler:
    """Stands for any class of a user."""

    def fit(self, X, y=None):  # noqa: N803 -- as in scikit-learn
        self.fitted_ = True
        return self

    def transform(self, X):  # noqa: N803
        return X


@pytest.mark.parametrize("kind", ["function", "lambda", "class", "module"])
def test_a_transformer_with_code_of_a_user_is_refused_with_the_reason(tmp_path: Path, kind: str):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    own: Any = {
        "function": FunctionTransformer(doubled),
        "lambda": FunctionTransformer(lambda values: values),
        "class": OwnScaler(),
        "module": FunctionTransformer(Path),
    }[kind]
    columns = trained.whole()
    model = make_pipeline(own, Ridge())
    if kind == "module":
        model = make_pipeline(FunctionTransformer(), Ridge())
        model.fit(trained.matrix(columns), trained.target(columns))
        model.steps[0][1].func = Path
    else:
        model.fit(trained.matrix(columns), trained.target(columns))
    with pytest.raises(Error, match=r"code of its own|cannot be kept") as caught:
        make(model, X=columns, to=tmp_path / "b")
    assert "scikit-learn" in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_a_function_of_numpy_is_no_code_of_a_user(tmp_path: Path):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    columns = trained.whole()
    model = make_pipeline(FunctionTransformer(np.sqrt), Ridge())
    columns["wind"] = np.abs(columns["wind"])
    model.fit(trained.matrix(columns), trained.target(columns))
    assert make(model, X=columns, to=tmp_path / "b").proof is not None


def libsvm(columns: dict[str, Any]) -> Any:
    from sklearn.svm import SVR

    return SVR().fit(trained.matrix(columns), trained.target(columns))


def nearest(columns: dict[str, Any]) -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor().fit(trained.matrix(columns), trained.target(columns))


def sparse(columns: dict[str, Any]) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(trained.matrix(columns), columns["holiday"]).sparsify()


def reader(columns: dict[str, Any]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    files = HashingVectorizer(input="filename", n_features=4)
    model = make_pipeline(ColumnTransformer([("f", files, 0)]), Ridge())
    del columns["wind"], columns["weather"], columns["holiday"]
    columns["hour"] = np.array([__file__] * trained.N_ROWS, object)
    return model.fit(columns["hour"].reshape(-1, 1), np.arange(trained.N_ROWS))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (libsvm, "without looking"),
        (nearest, "without looking|code of its own"),
        (sparse, "cannot keep"),
        (reader, "opens files that a request names"),
    ],
)
def test_a_model_that_could_do_harm_when_forged_is_refused(tmp_path: Path, build, message):
    columns = trained.whole()
    with pytest.raises(Error, match=message):
        make(build(columns), X=columns, to=tmp_path / "b")


def test_what_is_no_fitted_model_of_these_columns_is_refused(tmp_path: Path):
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    columns = trained.whole()
    three = {name: columns[name] for name in ("hour", "weather", "wind")}
    for model, table, message in [
        (Ridge(), columns, "not fitted"),
        (StandardScaler().fit(trained.matrix(columns)), columns, "neither a classifier nor"),
        (trained.boosting(), three, "fitted on 4 features, X has 3"),
        (object(), columns, "cannot hold"),
        (trained.boosting(), {}, "no row"),
        (trained.boosting(), {**columns, "hour": columns["hour"][1:]}, "has 119"),
    ]:
        with pytest.raises(Error, match=message):
            make(model, X=table, to=tmp_path / "b")
    with pytest.raises(InvalidRows, match="y has 2 values"):
        make(trained.boosting(), X=columns, y=[1, 2], to=tmp_path / "b")


def test_several_targets_are_numbers_a_row(tmp_path: Path):
    from sklearn.linear_model import Ridge

    columns = trained.whole()
    both = np.column_stack([trained.target(columns), columns["hour"]])
    model = Ridge().fit(trained.matrix(columns), both)
    bundle = make(model, X=columns, to=tmp_path / "b")
    assert bundle.signature.output.shape == (-1, 2)
    assert load(tmp_path / "b").predict(columns).shape == (120, 2)


def test_the_time_of_a_row_is_an_array_or_a_column_that_is_no_feature(tmp_path: Path):
    columns = trained.table()
    named = make(
        trained.boosting(), X={"at": trained.times(), **columns}, time="at", to=tmp_path / "a"
    )
    given = make(trained.boosting(), X=columns, time=trained.times(), to=tmp_path / "b")
    assert named.id == given.id
    assert named.signature.names == ("hour", "weather", "wind", "holiday")
    assert named.reference.days == [f"2012-01-0{day}" for day in range(1, 6)]
    with pytest.raises(NotFound, match="no column 'att'"):
        make(trained.boosting(), X={"at": trained.times(), **columns}, time="att", to=tmp_path)
    bad = ["2012-01-01"] * 2 + ["x"] * 118
    with pytest.raises(InvalidRows, match="time of row 3 is 'x'"):
        make(trained.boosting(), X=columns, time=bad, to=tmp_path / "c")


def test_outside_a_project_it_has_to_be_said_where_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Usage, match="where the bundle goes"):
        assay.bundle(trained.boosting(), X=trained.table())
    (tmp_path / "rows.csv").write_text("a\n1\n")
    bundle = assay.bundle(
        trained.boosting(),
        X=trained.table(),
        to="deep/bundle",
        data=["rows.csv"],
        params={"train": {"lr": np.float64(0.1), "limit": float("inf")}},
    )
    assert bundle.index.params == {"train.lr": 0.1, "train.limit": "inf"}
    assert bundle.index.data == {"rows.csv": "md5:" + hash_bytes(b"a\n1\n")}
    assert assay.load("deep/bundle").id == bundle.id


def test_structured_arrays_and_rows_are_tables_too(tmp_path: Path):
    columns = trained.whole()
    array = np.empty(120, [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        array[name] = column
    model = trained.boosting()
    ids = {
        make(model, X=table, to=tmp_path / "b").id
        for table in (columns, array, rows_of(columns, 120), Frame(columns))
    }
    assert len(ids) == 1


class Series:
    """A column as a data frame has it."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def to_numpy(self) -> Any:
        return self.values


class Frame:
    """What is used of a data frame."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = list(columns)
        self._columns = columns

    def __getitem__(self, name: str) -> Series:
        return Series(self._columns[name])
