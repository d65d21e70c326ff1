"""Fit a regressor of the hourly rentals on all but the last days, and freeze it into a bundle.

The bundle, and not the model that was fitted, says what it predicts for the last days. That is
done here because the libraries are loaded here: `evaluate.py` needs no model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    from assay.bundle.load import Bundle
    from tables import Table


def fit(train: Table, params: dict[str, Any]) -> HistGradientBoostingRegressor:
    """Return the regressor, fitted on the rows of `train`."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    from features import matrix
    from tables import TARGET

    target = train[TARGET]
    if params["shuffle_labels"]:
        target = np.random.default_rng(params["seed"]).permutation(target)
    model = HistGradientBoostingRegressor(
        **params["model"],
        random_state=params["seed"],
        early_stopping=False,  # the default changes its mind at 10,000 rows
    )
    return model.fit(
        matrix(train), target, sample_weight=age_weights(train, params["weight_days"])
    )


def age_weights(train: Table, days: float) -> np.ndarray:
    """Return the weight by age of each row: exp(-age / days), 1 for the youngest day."""
    import numpy as np

    day = train["timestamp"].astype("datetime64[D]")
    age = (day.max() - day) / np.timedelta64(1, "D")
    weights: np.ndarray = np.exp(-age / days)
    return weights


def learning_curve(
    model: HistGradientBoostingRegressor, train: Table, weights: np.ndarray
) -> list[float]:
    """Return the mean squared error on `train`, weighted as in training, after each iteration."""
    import numpy as np

    from features import matrix
    from tables import TARGET

    staged = model.staged_predict(matrix(train))
    return [float(np.average((each - train[TARGET]) ** 2, weights=weights)) for each in staged]


def freeze(model: HistGradientBoostingRegressor, train: Table, params: dict[str, Any]) -> Bundle:
    """Write the folder `bundle`: the model, and all that its training determines."""
    import assay
    from features import FEATURES
    from tables import TARGET

    return assay.bundle(
        model,
        X={name: train[name] for name in FEATURES},
        y=train[TARGET],
        time=train["timestamp"],
        name="bikes",
        to="bundle",
        data=["work/features.parquet"],  # as with `params`: in a recorded stage its record says it
        params=params,
    )


def main() -> None:
    params = YAML(typ="safe").load(Path("params.yaml"))
    # OpenMP reads this once, when scikit-learn loads it: hence the imports inside functions.
    os.environ["OMP_NUM_THREADS"] = str(params["threads"])
    import tables
    from features import FEATURES

    train, test = tables.split(tables.read("work/features.parquet"), params["test_days"])
    tables.write(test, "work/test.parquet")
    model = fit(train, params)
    bundle = freeze(model, train, params)
    predicted = bundle.predict({name: test[name] for name in FEATURES})  # as it will in production
    tables.write(
        {"timestamp": test["timestamp"], "predicted": predicted}, "work/predicted.parquet"
    )

    curve = learning_curve(model, train, age_weights(train, params["weight_days"]))
    if "ASSAY_RUN" in os.environ:  # a stage of `assay repro`: its run keeps the curve
        import assay

        for step, loss in enumerate(curve, start=1):
            assay.log_metric("train_loss", loss, step=step)
    print(f"{len(train['timestamp'])} rows, mean squared error {curve[0]:.0f} to {curve[-1]:.0f}")


if __name__ == "__main__":
    main()
