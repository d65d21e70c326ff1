"""Seeds that a script sets are on record, wherever in it that is."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.ledger.sdk import seeds
from tests import make, stages


def tags(project: Path, script: str, *, stage: bool = False) -> dict[str, str]:
    """Return the tags of the run of a script, alone or as a stage."""
    text = textwrap.dedent(script)
    if stage:
        pipeline = f"stages: {{train: {{cmd: {sys.executable} train.py, deps: [train.py]}}}}"
        stages.pipeline(project, pipeline, {"train.py": text})
        make.done(project, "repro")
    else:
        make.write(project, {"train.py": text})
        subprocess.run([sys.executable, "-W", "error", "train.py"], cwd=project, check=True)
    with open_ledger(project / ".assay" / "ledger.db", create=False) as ledger:
        return next(runs.get(ledger, r.id) for r in runs.list_(ledger, top_level=False)).tags


BEFORE = """
    import assay
    import random
    random.seed(7)
    with assay.run():
        pass
"""
LATER = """
    import assay
    with assay.run():
        import numpy as np
        np.random.seed(3)
"""
GENERATORS = """
    import assay, numpy as np
    rng = np.random.default_rng(5)
    with assay.run():
        for seed in (6, None, 6, [1, 2]):
            np.random.default_rng(seed)
        np.random.default_rng(rng)
"""
FROM = """
    import assay
    from random import seed
    from numpy.random import default_rng
    with assay.run():
        seed(a=8)
        default_rng(seed=9)
"""


@pytest.mark.parametrize("stage", [False, True])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (BEFORE, {"seed.random": "7"}),
        (LATER, {"seed.numpy": "3"}),
        (GENERATORS, {"seed.numpy.default_rng": "5, 6, [1, 2]"}),
        (FROM, {"seed.random": "8", "seed.numpy.default_rng": "9"}),
    ],
    ids=["before the run", "imported in it", "generators", "from the module"],
)
def test_a_seed_is_recorded_wherever_it_is_set(
    project: Path, tmp_path: Path, script: str, expected: dict[str, str], stage: bool
):
    assert tags(tmp_path / "stage" if stage else project, script, stage=stage) == expected


def test_a_stage_that_only_logs_has_its_seeds_too(tmp_path: Path):
    script = """
        import random, assay
        random.seed(1)
        assay.log_metric("a", 1)
        import numpy as np
        np.random.seed(2)
    """
    found = tags(tmp_path / "project", script, stage=True)
    assert found == {"seed.random": "1", "seed.numpy": "2"}


def test_the_hash_seed_of_a_stage_is_a_tag_of_the_same_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert tags(tmp_path / "project", "print(1)", stage=True) == {"seed.hash": "0"}


def test_a_seed_that_was_taken_back_is_not_recorded(project: Path):
    script = """
        import assay, random
        random.seed(7)
        random.seed()
        with assay.run():
            pass
    """
    assert tags(project, script) == {}


def test_many_generators_are_named_by_the_first_ten_seeds(project: Path):
    script = """
        import assay, numpy as np
        for number in range(2):
            with assay.run():
                for seed in range(100 * number, 100 * number + 50):
                    np.random.default_rng(seed)
    """
    found = tags(project, script)
    assert found == {"seed.numpy.default_rng": ", ".join(str(n) for n in range(100, 110))}


def test_what_is_seeded_does_what_it_does_without_assay():
    assert assay.__version__
    random.seed(11)
    first, state = random.random(), random.getstate()
    random.Random(11).seed(5)
    assert random.random() != first
    random.setstate(state)
    assert random.Random(11).random() == first
    np.random.seed(4)  # noqa: NPY002 -- what is seeded
    expected = np.random.RandomState(4).rand()
    assert np.random.rand() == expected  # noqa: NPY002
    assert np.random.default_rng(3).random() == np.random.Generator(np.random.PCG64(3)).random()
    with pytest.raises(ValueError, match="between 0 and"):
        np.random.seed(-1)  # noqa: NPY002
    assert pickle.loads(pickle.dumps(random.seed)) is random.seed
    assert pickle.loads(pickle.dumps(np.random.default_rng)) is np.random.default_rng
    assert random.seed.__name__ == "seed"


def test_to_import_assay_imports_nothing_for_that(project: Path):
    script = """
        import sys
        before = set(sys.modules)
        import assay
        assert set(sys.modules) - before <= {"assay", "__future__"}
        import random, numpy, inspect
        assert "def seed" in inspect.getsource(random.seed)
        assert random.__spec__.loader.get_filename("random") == random.__file__
    """
    make.write(project, {"a.py": textwrap.dedent(script)})
    subprocess.run([sys.executable, "-W", "error", "a.py"], cwd=project, check=True)


def test_a_library_that_is_there_already_is_heard_once():
    heard: list[tuple[str, str]] = []
    seeds.hear_of_present()

    def hear(library: str, seed: str) -> None:
        heard.append((library, seed))

    seeds.listen(hear)
    np.random.seed(5)  # noqa: NPY002
    seeds.forget(hear)
    np.random.seed(6)  # noqa: NPY002
    assert heard == [("numpy", "5")]
