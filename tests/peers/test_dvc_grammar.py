"""The grammar of `dvc.yaml`: real DVC and we resolve the same files to the same stages."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.project import definition
from assay.project.workspace import Project
from assay.workflows import pipeline
from tests import make
from tests.peers import pipelines
from tests.peers import written_pipelines as by_hand
from tests.peers.dvc_index import PYTHON, Index

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not PYTHON.exists(), reason="no real DVC; 'make peers' installs it"),
]


@pytest.fixture(scope="module")
def theirs() -> Iterator[Index]:
    """Real DVC, started once."""
    with Index() as index:
        yield index


def ours(folder: Path) -> dict[str, Any]:
    """Return what we resolve in a folder, in the form in which `Index` says what DVC does."""
    project = Project(folder)
    document, _ = pipeline.stages(project)
    declared = definition.read(project)
    for stage in declared.stages:
        document["stages"][stage.address] |= {"desc": stage.desc, "meta": stage.meta}
    used: dict[str, dict[str, Any]] = {}
    beside: dict[str, dict[str, Any]] = {
        key: {} for key in ("params", "metrics", "plots", "artifacts")
    }
    for file in declared.files:
        for name, values in file.used.items():
            used.setdefault(name, {}).update(values)
        for key, found in beside.items():
            value = getattr(file, key)
            if key == "artifacts":
                value = {
                    name: {k: getattr(a, k) for k in a.__struct_fields__ if getattr(a, k)}
                    for name, a in value.items()
                }
            if value:
                found[project.relative(file.path)] = value
    whole = {**document, "used": used, "beside": beside}
    answer: dict[str, Any] = json.loads(json.dumps(whole, default=str))
    return answer


def ours_or_refusal(folder: Path) -> dict[str, Any] | Error:
    try:
        return ours(folder)
    except Error as error:
        return error


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """Make a project without git: DVC takes it as it is."""
    return make.write(folder, {".dvc/config": "[core]\nno_scm = true\n", **files})


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=pipelines.files())
def test_drawn_pipelines_resolve_to_the_stages_of_dvc(theirs: Index, files: dict[str, str]):
    with tempfile.TemporaryDirectory(dir=make.memory()) as place:
        folder = written(Path(place).resolve(), files)
        found = theirs.of(folder)
        assert "error" not in found, found
        assert ours(folder) == found


_REFERENCE = re.compile(r"\$\{[^}]*\}")
OTHER_REFERENCES = (
    "${nope}", "${}", "${lr.x}", "${a..b}", "${nested}", "${labels}", "${labels[0]}", "${item}",
    "${item.n}", "${key}", "${nested.items[9]}", "${nested[items][-1]}", "${models}", "${ lr }",
    "\\\\${lr}", "$lr", "${lr", "${lr}${name}", "${none}", "${flag}", "${own}", "${nested[deep}",
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=pipelines.files(), data=st.data())
def test_with_another_reference_both_refuse_or_resolve_alike(
    theirs: Index, files: dict[str, str], data: st.DataObject
):
    places = list(_REFERENCE.finditer(files["dvc.yaml"]))
    assume(places)
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from(OTHER_REFERENCES))
    text = files["dvc.yaml"]
    files = {**files, "dvc.yaml": text[: place.start()] + other + text[place.end() :]}
    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        root = written(Path(folder).resolve(), files)
        found = theirs.of(root)
        answer = ours_or_refusal(root)
    if not isinstance(answer, Error):
        assert answer == found
    elif "error" not in found:  # a number as a command or a path: DVC fails when it runs
        assert " not text" in answer.what


@pytest.mark.parametrize("name", by_hand.PUBLIC)
def test_pipelines_of_the_shape_of_public_examples_resolve_as_for_dvc(
    theirs: Index, tmp_path: Path, name: str
):
    folder = written(tmp_path, by_hand.PUBLIC[name])
    found = theirs.of(folder)
    assert ours(folder) == found
    assert found["stages"] or found["beside"]["metrics"]


@pytest.mark.parametrize("name", by_hand.GRAMMAR)
def test_every_rule_of_the_grammar_means_what_it_means_to_dvc(
    theirs: Index, tmp_path: Path, name: str
):
    folder = written(tmp_path, by_hand.OTHERS | {"dvc.yaml": by_hand.GRAMMAR[name]})
    found = theirs.of(folder)
    assert "error" not in found, found
    assert ours(folder) == found


@pytest.mark.parametrize("name", by_hand.BROKEN)
def test_what_dvc_refuses_we_refuse_with_the_line(theirs: Index, tmp_path: Path, name: str):
    folder = written(tmp_path, by_hand.BROKEN_OTHERS | {"dvc.yaml": by_hand.BROKEN[name]})
    assert "error" in theirs.of(folder)
    with pytest.raises(Error) as caught:
        ours(folder)
    assert re.match(r"(dvc\.yaml|bad\.json):\d+$", str(caught.value.where)), caught.value
