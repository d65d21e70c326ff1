"""A bundle's id is what its training determines: not the process, the folder or the threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assay.bundle.flavours import canonical
from assay.bundle.make import make
from tests.bundle import trained

ROOT = Path(__file__).parents[2]

TRAIN = """
import sys
from pathlib import Path
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from tests.bundle import trained
from assay.bundle.make import make

X, y = trained.table(), trained.target(trained.table())
words = {"note": [f"the rain {h} was in spain {h % 5}" for h in X["hour"]]}
text = ColumnTransformer([("t", TfidfVectorizer(stop_words=["the", "was", "in"]), 0)])
import numpy as np
column = np.array(words["note"], dtype=object).reshape(-1, 1)
threads = int(sys.argv[1])
for model, table in [
    (trained.boosting(), X),
    (trained.forest(n_jobs=threads), X),
    (trained.staged(), trained.whole()),
    (make_pipeline(text, Ridge()).fit(column, y), words),
]:
    print(make(model, X=table, y=y, time=trained.times(), to=Path("bundle")).id)
"""


def ids(folder: Path, *, threads: int, seed: int) -> list[str]:
    """Train in a process of its own, and return the ids."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(threads)],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": str(threads),
            "PYTHONHASHSEED": str(seed),
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_same_training_gives_the_same_id_in_other_processes_folders_and_threads(
    tmp_path: Path,
):
    first = ids(tmp_path / "one", threads=1, seed=1)
    second = ids(tmp_path / "two", threads=2, seed=2)
    assert first == second
    assert len({*first}) == 4


def test_another_node_of_a_tree_gives_another_id(tmp_path: Path):
    model = trained.boosting()
    one = make(model, X=trained.table(), to=tmp_path / "a").id
    model._predictors[-1][0].nodes["value"][-1] += 1e-9
    other = make(model, X=trained.table(), to=tmp_path / "b").id
    assert one != other


def test_another_name_parameter_or_row_gives_another_id(tmp_path: Path):
    model, table = trained.forest(), trained.table()
    one = make(model, X=table, to=tmp_path / "a").id
    shorter = {name: column[:-1] for name, column in table.items()}
    others = {
        make(model, X=table, to=tmp_path / "b", name="rentals").id,
        make(model, X=table, to=tmp_path / "c", params={"lr": 0.1}).id,
        make(model, X=shorter, to=tmp_path / "d").id,
    }
    assert one not in others
    assert len(others) == 3


def test_the_order_of_the_rows_and_the_number_of_jobs_are_no_part_of_it(tmp_path: Path):
    table = trained.table()
    back = {name: column[::-1] for name, column in table.items()}
    one = make(trained.forest(n_jobs=1), X=table, to=tmp_path / "a")
    other = make(trained.forest(n_jobs=2), X=back, to=tmp_path / "b")
    assert one.id == other.id


def test_a_folder_for_caching_is_no_part_of_it(tmp_path: Path):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline

    def piped(memory: str | None) -> bytes:
        model = Pipeline([("r", Ridge())], memory=memory)
        return canonical.write(model.fit(trained.matrix(trained.whole()), np.arange(120)))

    assert piped(str(tmp_path)) == piped(None)


def test_the_bundle_names_no_path_no_machine_and_no_moment(tmp_path: Path):
    import socket
    import time

    made = trained.bundle(tmp_path / "bundle", params={"seed": 1})
    every = made.contents.index_bytes + b"".join(made.contents.files.values())
    for secret in (str(tmp_path), socket.gethostname(), time.strftime("%Y-%m-%d"), sys.prefix):
        assert secret.encode() not in every


def test_what_was_in_memory_between_the_fields_of_a_node_is_not_kept(tmp_path: Path):
    import io

    from sklearn.tree._tree import NODE_DTYPE

    dirty = np.frombuffer(b"\xff" * NODE_DTYPE.itemsize * 3, NODE_DTYPE).copy()
    dirty["left_child"] = [1, -1, -1]
    target = io.BytesIO()
    np.save(target, dirty)
    clean = np.load(io.BytesIO(canonical._without_gaps(target.getvalue())))
    assert clean["missing_go_to_left"].tolist() == [255, 0, 0]
    ends = clean.view(np.uint8).reshape(3, -1)[:, NODE_DTYPE.fields["missing_go_to_left"][1] + 1 :]
    assert not ends.any()


def test_the_users_model_is_left_as_it_was(tmp_path: Path):
    model = trained.forest(n_jobs=2)
    before = model.predict_proba(trained.matrix(trained.table()))
    make(model, X=trained.table(), to=tmp_path / "a")
    assert model.n_jobs == 2
    assert np.array_equal(model.predict_proba(trained.matrix(trained.table())), before)


@pytest.mark.parametrize("make_model", [trained.boosting, trained.forest, trained.staged])
def test_the_canonical_form_is_numbered_from_the_first_member_on(make_model):
    import io
    import zipfile

    content = canonical.write(make_model())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
    *members, schema = infos
    assert schema.filename == "schema.json"
    assert [int(member.filename[:6]) for member in members] == [*range(1, len(members) + 1)]
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert b"__id__" not in content
