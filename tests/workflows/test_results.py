"""Metrics and parameters are read alike from the workspace, a commit and the cache."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound, Usage
from assay.project import definition, params, tracking, workspace
from assay.project.lock import Entry
from assay.project.workspace import Project
from assay.workflows import results
from assay.workflows.results import Values
from assay.workflows.views import Missing, View
from tests import make

STAGE = """\
stages:
  train:
    cmd: python train.py
    params: [lr, other.toml: [net.depth, absent]]
    outs: [curves]
    metrics:
      - cached.json
      - plain.yaml: {cache: false}
metrics: [beside.json]
params: [whole.py]
"""


@pytest.fixture
def trained(project: Path) -> Path:
    """A project whose stage ran once: a cached metric, a plain one and a cached folder."""
    make.write(
        project,
        {
            "dvc.yaml": STAGE,
            "params.yaml": "lr: 0.1\nseed: 7\n",
            "other.toml": "[net]\ndepth = 3\nwidth = 8\n",
            "whole.py": "EPOCHS = 3\n",
            "cached.json": '{"acc": 0.5}',
            "plain.yaml": "f1: 0.25\n",
            "beside.json": '{"n": 1}',
            "curves/a.json": '{"a": 1}',
            "curves/deep/b.json": '{"b": 2}',
        },
    )
    record(project)
    make.write(project, {".gitignore": "/cached.json\n/curves\n"})
    make.commit(project)
    return project


def record(root: Path) -> None:
    """Store the outputs of the only stage and write its lock, as a run would."""
    project = workspace.find(root)
    declared = definition.read(project)
    (stage,) = declared.stages
    outs = tuple(
        tracking.row_of(out.path, tracking.store(project, stage.path(out.path)))
        for out in stage.outs
        if out.cache
    )
    declared.record(stage, Entry(cmd=stage.cmd, outs=outs))


def view(root: Path, revision: str = "workspace", *, cwd: Path | None = None) -> View:
    return View(workspace.find(root), revision, cwd=cwd or root)


def said(values: list[Values], project: Project) -> dict[str, Any]:
    return {project.relative(one.path): one.data for one in values}


def test_metrics_are_those_of_stages_then_those_beside_them(trained):
    here = view(trained)

    assert list(said(results.metrics(here), here.project).items()) == [
        ("cached.json", {"acc": 0.5}),
        ("plain.yaml", {"f1": 0.25}),
        ("beside.json", {"n": 1}),
    ]


def test_a_commit_gives_what_was_recorded_in_git_and_in_the_cache(trained):
    (trained / "cached.json").unlink()
    make.write(trained, {"cached.json": '{"acc": 0.75}', "plain.yaml": "f1: 0.5\n"})
    then = view(trained, "HEAD")

    assert said(results.metrics(then), then.project) == {
        "cached.json": {"acc": 0.5},
        "plain.yaml": {"f1": 0.25},
        "beside.json": {"n": 1},
    }


def test_a_cached_file_that_is_not_checked_out_is_read_from_the_cache(trained):
    (trained / "cached.json").unlink()
    shutil.rmtree(trained / "curves")
    here = view(trained)

    assert here.read(trained / "cached.json") == b'{"acc": 0.5}'
    assert here.read(trained / "curves" / "deep" / "b.json") == b'{"b": 2}'


@pytest.mark.parametrize("revision", ["workspace", "HEAD"])
@pytest.mark.parametrize("checked_out", [True, False])
def test_a_cached_folder_lists_its_files_with_and_without_its_parent(
    trained, revision, checked_out
):
    if not checked_out:
        shutil.rmtree(trained / "curves")
    one = view(trained, revision)

    assert one.list_files(trained / "curves") == [
        trained / "curves" / "a.json",
        trained / "curves" / "deep" / "b.json",
    ]
    assert one.list_files(trained / "curves" / "deep") == [trained / "curves" / "deep" / "b.json"]
    assert one.has(trained / "curves" / "deep")
    assert not one.has(trained / "curves" / "other")


def test_an_object_that_is_not_on_this_machine_says_how_to_get_it(trained):
    make.write(trained, {"cached.json.new": ""})
    (trained / "cached.json").unlink()
    shutil.rmtree(workspace.find(trained).cache.folder)

    for revision, hint in (("workspace", "run 'assay pull'"), ("HEAD", "check that revision out")):
        found = {v.path.name: v.error for v in results.metrics(view(trained, revision))}
        error = found["cached.json"]
        assert isinstance(error, Missing)
        assert error.hint is not None
        assert error.hint.startswith(hint)
        assert found["plain.yaml"] is None


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("cached.json", "{", "JSONFileCorruptedError"),
        ("cached.json", None, "FileNotFoundError"),
        ("plain.yaml", "a: [", "YAMLFileCorruptedError"),
        ("plain.yaml", b"\xff\xfe", "YAMLFileCorruptedError"),
        ("beside.json", "[" * 100_000, "JSONFileCorruptedError"),
    ],
)
def test_a_broken_file_is_an_error_among_good_ones(project, name, content, kind):
    files: dict[str, str | bytes] = {
        "dvc.yaml": STAGE,
        "cached.json": "{}",
        "plain.yaml": "f1: 1",
        "beside.json": "{}",
    }
    if content is None:
        del files[name]
    else:
        files[name] = content
    here = view(make.write(project, files))

    shown = results.show_document(here, results.metrics(here))["data"]

    assert shown[name]["error"]["type"] == kind
    assert shown[name]["error"]["msg"].startswith(name)
    assert [n for n, entry in shown.items() if "error" in entry] == [name]


def test_lists_and_nothing_are_no_metrics_and_dates_are_text(project):
    make.write(
        project,
        {
            "dvc.yaml": "metrics: [m.yaml, top.json, one.json]",
            "m.yaml": "a: [1]\nb: null\nc: 2020-01-01\nd: {e: [1]}\nf: {g: true, h: ok, 3: 1.5}\n",
            "top.json": "[1, 2]",
            "one.json": "0.5",
        },
    )
    here = view(project)

    assert said(results.metrics(here), here.project) == {
        "m.yaml": {"c": "2020-01-01", "f": {"g": True, "h": "ok", "3": 1.5}},
        "top.json": {},
        "one.json": 0.5,
    }


def test_a_target_is_a_file_or_the_metrics_below_a_folder(trained):
    make.write(trained, {"loose.json": '{"z": 1}', "curves/.hidden": "x"})
    here = view(trained, cwd=trained / "curves")

    def names(*targets: str) -> list[str]:
        paths = results.metric_targets([here], targets)
        return list(said(results.metrics(here, paths), here.project))

    assert names("../loose.json") == ["loose.json"]
    assert names(".") == ["curves/a.json", "curves/deep/b.json"]
    assert names("..") == ["cached.json", "plain.yaml", "beside.json"]


def test_a_wrong_target_names_the_nearest_metric(trained):
    with pytest.raises(NotFound, match="casched") as caught:
        results.metric_targets([view(trained)], ["casched.json"])
    assert caught.value.hint == "did you mean 'cached.json'?"


def test_a_target_outside_of_the_project_is_refused(trained, tmp_path):
    make.write(tmp_path, {"secret.json": "{}"})
    with pytest.raises(Usage, match="outside"):
        results.metric_targets([view(trained)], ["../secret.json"])


def test_a_definition_cannot_read_outside_of_the_project(project, tmp_path):
    make.write(tmp_path, {"secret.json": '{"key": 1}'})
    make.write(project, {"dvc.yaml": "metrics: [../secret.json]"})

    (value,) = results.metrics(view(project))

    assert value.data is None
    assert "outside" in str(value.error)


def test_params_are_the_keys_of_stages_and_whole_files(trained):
    here = view(trained)

    assert said(results.params(here), here.project) == {
        "params.yaml": {"lr": 0.1, "seed": 7},
        "other.toml": {"net.depth": 3},
        "whole.py": {"EPOCHS": 3},
    }


def test_a_difference_is_raw_and_only_of_numbers(trained):
    make.write(trained, {"plain.yaml": "f1: 0.4\nname: b\n", "beside.json": '{"n": 1}'})
    then, now = view(trained, "HEAD"), view(trained)

    changes = results.compare(results.metrics(then), results.metrics(now))

    assert results.diff_document(now, changes) == {
        "plain.yaml": {
            "f1": {"old": 0.25, "new": 0.4, "diff": 0.4 - 0.25},
            "name": {"old": None, "new": "b"},
        }
    }


scalars = st.integers(-5, 5) | st.floats(allow_nan=False) | st.booleans() | st.text(max_size=3)
trees = st.recursive(
    scalars, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6
)
metric_files = st.dictionaries(
    st.sampled_from(["x.json", "y.json"]),
    st.dictionaries(st.sampled_from("abc"), trees, max_size=3),
)


@given(metric_files, metric_files)
def test_the_changes_lead_from_one_side_to_the_other(old, new):
    def values(files):
        return [Values(path=Path(name), data=data) for name, data in files.items()]

    def flat(files):
        return {
            (Path(n), key): value
            for n, data in files.items()
            for key, value in params.flatten(data).items()
        }

    changes = results.compare(values(old), values(new))
    reached = flat(old)
    for change in changes:
        assert change.old == reached.pop((change.path, change.key), None)
        if change.new is not None:
            reached[change.path, change.key] = change.new

    assert reached == flat(new)
    assert [(c.path, c.key) for c in changes] == sorted((c.path, c.key) for c in changes)
    assert results.compare(values(new), values(new)) == []
    every = results.compare(values(old), values(new), unchanged=True)
    assert {(c.path, c.key) for c in every} == {*flat(old), *flat(new)}


def test_a_revision_whose_dvc_yaml_is_broken_is_an_error_and_not_an_absence(trained):
    make.write(trained, {"dvc.yaml": "stages: {train: {cmd: x, metricz: []}}"})
    make.commit(trained)
    with pytest.raises(Error, match="metrics"):
        view(trained, "HEAD")
