"""Variables are put in where `${}` names them, and `foreach` and `matrix` make their stages."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.project import definition, dvcyaml
from assay.project.collecting import History
from assay.project.interpolate import Flags
from assay.project.stages import Stage
from assay.project.workspace import Project
from tests import make

PARAMS = """\
lr: 0.1
train: {epochs: 3, layers: [8, 4], resume: false, opt: {name: adam w}}
models: [ridge, forest]
day: 2026-01-31
when: {at: 2026-01-31T10:00:00}
"""


def resolve(folder: Path, text: str, **others: str) -> dict[str, Stage]:
    """Return the stages of a `dvc.yaml`, with other files beside it."""
    files = {name.replace("_", "."): content for name, content in others.items()}
    make.write(folder, {"params.yaml": PARAMS, **files, "dvc.yaml": text})
    return {stage.name: stage for stage in definition.read(Project(folder)).stages}


def commands(folder: Path, text: str, **others: str) -> dict[str, Any]:
    return {name: stage.cmd for name, stage in resolve(folder, text, **others).items()}


def test_a_variable_stands_wherever_text_stands(project: Path):
    (stage,) = resolve(
        project,
        """
stages:
  a:
    wdir: w${train.epochs}
    cmd: ['train --lr ${lr}', 'echo ${train.layers[-1]} \\${HOME} ${train.resume}']
    deps: ['${models[0]}.py']
    params: ['train.${models[0]}', {'${models[0]}.yaml': []}]
    outs: [{'m-${lr}.bin': {desc: '${models[1]}', meta: {n: '${train.epochs}'}}}]
    desc: ${train.epochs}
""",
    ).values()
    assert stage.wdir == project / "w3"
    assert stage.cmd == ["train --lr 0.1", "echo 4 ${HOME} false"]
    assert stage.deps == ("ridge.py",)
    assert [(dep.file, dep.keys) for dep in stage.params] == [
        ("params.yaml", ("train.ridge",)),
        ("ridge.yaml", ()),
    ]
    assert stage.outs[0].path == "m-0.1.bin"
    assert stage.outs[0].properties == {"desc": "forest", "meta": {"n": 3}}
    assert stage.desc == "3"


def test_a_mapping_in_a_command_becomes_its_options(project: Path):
    text = "stages: {a: {cmd: 'x ${train} y'}}"
    assert commands(project, text) == {
        "a": "x --epochs 3 --layers 8 4 --opt.name 'adam w' y",
    }
    make.done(project, "config", "parsing.bool", "boolean_optional")
    make.done(project, "config", "parsing.list", "append")
    assert commands(project, text) == {
        "a": "x --epochs 3 --layers 8 --layers 4 --no-resume --opt.name 'adam w' y",
    }


words = st.text("ab '\"$\\é-.", max_size=5)
options = st.dictionaries(
    st.text("abc", min_size=1, max_size=2),
    st.one_of(words, st.integers(), st.booleans(), st.lists(words, max_size=3)),
    max_size=5,
)


@given(options)
def test_a_shell_reads_the_options_that_were_written(given_options: dict[str, Any]):
    expected: list[str] = []
    for name, value in given_options.items():
        if isinstance(value, bool):
            expected += [f"--{name}"] if value else []
        elif isinstance(value, list):
            expected += [f"--{name}", *value] if value else []
        else:
            expected += [f"--{name}", str(value)]
    assert shlex.split(Flags().of(given_options)) == expected


def test_variables_come_from_files_of_every_kind_and_mappings_are_merged(project: Path):
    found = commands(
        project,
        """
vars:
- train: {epochs_max: 9}
- a.toml
- b.json:x,y
- c.py
- c.py
stages:
  s: {cmd: '${train.epochs} ${train.epochs_max} ${t.k} ${x} ${y[0]} ${C.N}'}
""",
        a_toml="[t]\nk = 1\n",
        b_json='{"x": 2, "y": [3], "lr": 4}',
        c_py="class C:\n    N = (5)\n",
    )
    assert found == {"s": "3 9 1 2 3 5"}


def test_a_stage_sees_its_own_variables_and_no_other_does(project: Path):
    text = """
stages:
  a: {cmd: '${own} ${lr}', vars: [{own: 1}], params: [lr]}
  b: {cmd: '${own} ${train.more} ${train.epochs}', vars: [{own: 2, train: {more: 3}}]}
  c: {wdir: w, cmd: '${lr} ${local}', vars: [local.yaml]}
"""
    make.write(project, {"w/local.yaml": "local: 5\n", "w/params.yaml": "lr: 9\n"})
    assert commands(project, text) == {"a": "1 0.1", "b": "2 3 3", "c": "0.1 5"}
    with pytest.raises(Error, match="no variable 'own'"):
        commands(project, text + "  d: {cmd: 'x ${own}'}\n")


def test_a_list_makes_a_stage_of_each_element(project: Path):
    text = "stages:\n  a:\n    foreach: [x, 1.50, true, null, p q]\n    do: {cmd: 'c ${item}'}\n"
    assert commands(project, text) == {
        "a@x": "c x", "a@1.5": "c 1.5", "a@true": "c true", "a@None": "c None", "a@p q": "c p q",
    }  # fmt: skip
    rows = "stages:\n  a:\n    foreach: [{k: u}, {k: v}]\n    do: {cmd: 'c ${item.k}'}\n"
    assert commands(project, rows) == {"a@0": "c u", "a@1": "c v"}


def test_a_mapping_makes_a_stage_of_each_key(project: Path):
    text = (
        "stages:\n  a:\n    foreach: {u: {n: 1}, v: {n: 2}}\n    do: {cmd: '${key} ${item.n}'}\n"
    )
    assert commands(project, text) == {"a@u": "u 1", "a@v": "v 2"}


def test_a_matrix_makes_a_stage_of_each_combination_the_last_key_fastest(project: Path):
    text = """
stages:
  a:
    matrix: {m: '${models}', k: [1, {n: 2}]}
    cmd: x ${item.m} ${key}
"""
    assert commands(project, text) == {
        "a@ridge-1": "x ridge ridge-1",
        "a@ridge-k1": "x ridge ridge-k1",
        "a@forest-1": "x forest forest-1",
        "a@forest-k1": "x forest forest-k1",
    }


def test_an_at_sign_in_a_name_is_a_part_of_the_name(project: Path):
    """For DVC, one such name makes the whole file unusable."""
    text = "stages:\n  pick:\n    foreach: [a, b@c]\n    do: {cmd: 'x ${item}'}\n  d@e: {cmd: y}\n"
    assert commands(project, text) == {"pick@a": "x a", "pick@b@c": "x b@c", "d@e": "y"}
    declared = definition.read(Project(project))
    for name in ("pick@b@c", "d@e"):
        assert [stage.name for stage in declared.find(name, cwd=project)] == [name]


def test_a_date_among_the_parameters_is_text(project: Path):
    """For DVC, a date anywhere in params.yaml breaks every command."""
    text = "stages: {a: {cmd: 'x ${day} ${when.at} ${lr}'}}"
    assert commands(project, text) == {"a": "x 2026-01-31 2026-01-31T10:00:00 0.1"}


def test_a_tuple_of_a_python_file_is_a_list(project: Path):
    """DVC takes no tuple as a variable."""
    text = "vars: [m.py]\nstages: {a: {cmd: 'x ${T[1]}'}}"
    assert commands(project, text, m_py="T = (1, 2)\n") == {"a": "x 2"}


def test_params_yaml_is_not_read_where_nothing_names_a_variable(project: Path):
    text = "stages: {a: {cmd: 'x', params: [lr]}}"
    make.write(project, {"sub/params.yaml": "broken: [", "sub/dvc.yaml": text})
    assert [stage.cmd for stage in definition.read(Project(project)).stages] == ["x"]


def test_what_variables_of_files_were_named_is_kept(project: Path):
    stages = resolve(
        project,
        """
vars: [{inline: 1}, other.yaml]
stages:
  a: {cmd: 'x ${lr} ${train.layers[-1]} ${train.opt} ${inline} ${o.p}'}
  b: {matrix: {m: '${models}'}, cmd: 'y ${item.m}'}
""",
        other_yaml="o: {p: 2}\n",
    )
    assert stages["a"].used == {
        "params.yaml": {"lr": 0.1, "train.layers.1": 4},
        "other.yaml": {"o.p": 2},
    }
    assert stages["b@forest"].used == {"params.yaml": {"models.1": "forest"}}
    (file,) = definition.read(Project(project)).files
    assert file.used["params.yaml"] == {
        "lr": 0.1, "train.layers.1": 4, "models.0": "ridge", "models.1": "forest",
    }  # fmt: skip


def test_what_stands_beside_the_stages_is_kept(project: Path):
    text = """
metrics: ['${models[0]}.json']
params: [p.toml]
plots: [loss.csv, {ROC: {x: fpr, y: {'${models[0]}.json': [tpr]}}}]
artifacts:
  best-${models[1]}: {path: m.bin, type: model, labels: [cv], meta: '${train.opt}', desc: d}
datasets: [{name: d, type: url, url: 'u'}]
"""
    make.write(project, {"params.yaml": PARAMS, "sub/dvc.yaml": text, "sub/params.yaml": PARAMS})
    (file,) = definition.read(Project(project)).files
    assert file.metrics == ("ridge.json",)
    assert file.params == ("p.toml",)
    assert file.plots == ("loss.csv", {"ROC": {"x": "fpr", "y": {"ridge.json": ["tpr"]}}})
    assert file.artifacts == {
        "best-forest": dvcyaml.Artifact(
            path="m.bin", type="model", labels=("cv",), meta={"name": "adam w"}, desc="d"
        )
    }
    assert file.datasets == ({"name": "d", "type": "url", "url": "u"},)


GROUPS = {
    "dvc.yaml": "stages:\n  a: {foreach: [x, y], do: {cmd: 'c ${item}', outs: ['a-${item}']}}\n"
    "  ab: {cmd: d}\n",
    "s/dvc.yaml": "stages:\n  a: {matrix: {m: [u, v]}, cmd: 'e ${key}'}\n  ab: {cmd: f}\n",
}


@pytest.mark.parametrize(
    ("target", "cwd", "commands"),
    [
        ("a", ".", ["c x", "c y"]),
        ("a@x", ".", ["c x"]),
        ("s/dvc.yaml:a", ".", ["e u", "e v"]),
        ("s/dvc.yaml:a@v", ".", ["e v"]),
        ("s/dvc.yaml", ".", ["e u", "e v", "f"]),
        ("a", "s", ["e u", "e v"]),
        ("a@u", "s", ["e u"]),
        ("ab", "s", ["f"]),
        ("../dvc.yaml:a", "s", ["c x", "c y"]),
        ("../dvc.yaml", "s", ["c x", "c y", "d"]),
        ("a-x", ".", ["c x"]),
    ],
)
def test_a_target_means_all_that_a_template_makes_or_one_of_it(project, target, cwd, commands):
    make.write(project, GROUPS)
    declared = definition.read(Project(project))
    assert [stage.cmd for stage in declared.find(target, cwd=project / cwd)] == commands


@pytest.mark.parametrize(
    ("pattern", "cwd", "commands"),
    [
        ("a*", ".", ["c x", "c y", "d"]),
        ("a@*", ".", ["c x", "c y"]),
        ("a?", ".", ["d"]),
        ("[a]b", "s", ["f"]),
        ("s/dvc.yaml:*@[uv]", ".", ["e u", "e v"]),
        ("a", ".", ["c x", "c y"]),
        ("zz*", ".", []),
        ("nowhere/dvc.yaml:*", ".", []),
    ],
)
def test_a_pattern_means_the_stages_of_one_file_that_match(project, pattern, cwd, commands):
    make.write(project, GROUPS)
    declared = definition.read(Project(project))
    assert [stage.cmd for stage in declared.glob(pattern, cwd=project / cwd)] == commands


def test_a_group_that_is_misspelt_gets_the_nearest_name(project: Path):
    make.write(project, {"dvc.yaml": "stages:\n  train: {foreach: [x], do: {cmd: c}}\n"})
    with pytest.raises(NotFound) as caught:
        definition.read(Project(project)).find("trian", cwd=project)
    assert caught.value.hint == "did you mean 'train'?"


def test_a_commit_has_its_own_variables(project: Path):
    text = "vars: [v.yaml]\nstages: {a: {foreach: '${names}', do: {cmd: 'x ${lr} ${item}'}}}"
    make.write(project, {"params.yaml": PARAMS, "v.yaml": "names: [u]\n", "dvc.yaml": text})
    first = make.commit(project)
    make.write(project, {"params.yaml": "lr: 2\n", "v.yaml": "names: [v, w]\n"})
    second = make.commit(project)
    (project / "v.yaml").unlink()
    there = {commit: definition.read_at(Project(project), commit) for commit in (first, second)}
    assert [stage.cmd for stage in there[first].stages] == ["x 0.1 u"]
    assert [stage.cmd for stage in there[second].stages] == ["x 2 v", "x 2 w"]
    with pytest.raises(Error, match=r"'v\.yaml' does not exist"):
        definition.read(Project(project))


def test_commits_that_differ_in_their_variables_only_are_two_versions(project: Path):
    text = "stages: {a: {cmd: 'x', outs: ['${out}']}}"
    commits = []
    for n, params in enumerate(["out: one\n", "out: two\n", "out: one\nother: 1\n", None]):
        make.write(project, {"dvc.yaml": text, "params.yaml": params or "", "n": str(n)})
        commits.append(make.commit(project))
    make.write(project, {"n": "again"})
    commits.append(make.commit(project))
    with History(Project(project)) as history:
        found = {v.commit: [str(t.path.name) for t in v.declared.tracked]
                 for v in history.versions(commits)}  # fmt: skip
        assert list(found.values()) == [["one"], ["two"], ["one"], []]
        assert list(history.complaints) == [f"{commits[3][:10]}:dvc.yaml:1"]


def test_names_of_any_length_of_aliases_cost_nothing(project: Path):
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    lines += ["m0: &m0 {k: 1}"]
    lines += [f"m{n}: &m{n} {{a: *m{n - 1}, b: *m{n - 1}}}" for n in range(1, 40)]
    text = "stages: {a: {cmd: 'x ${a0[0]}'}}"
    make.write(project, {"params.yaml": "\n".join(lines), "dvc.yaml": text})
    assert [s.cmd for s in definition.read(Project(project)).stages] == ["x lol"]
    make.write(project, {"dvc.yaml": "stages: {a: {cmd: 'x ${nope}'}}"})
    with pytest.raises(Error, match="no variable 'nope'"):
        definition.read(Project(project))
