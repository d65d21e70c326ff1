"""A `dvc.yaml` that cannot be resolved is refused: what is wrong, on which line, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.project import definition
from assay.project.workspace import Project
from tests import make

FILES = {
    "params.yaml": "lr: 0.1\ntrain: {epochs: 3, opt: {name: adam}}\nlayers: [8, 4]\nitem: 1\n"
    "off: false\nnull_: null\n",
    "part.toml": "tt = 1\nuu = 2\n",
    "list.yaml": "- 1\n",
    "set.py": "S = {1, 2}\n",
    "w/.keep": "",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for all of these: reading changes nothing."""
    return make.project(tmp_path_factory.mktemp("bad") / "project")


def refusal(folder: Path, text: str, **others: str) -> Error:
    """Return the error of reading a `dvc.yaml`; nothing may have changed."""
    files = {name.replace("_", "."): content for name, content in others.items()}
    make.write(folder, {**FILES, **files, "dvc.yaml": text})
    before = sorted(
        (p, p.stat().st_mtime_ns) for p in folder.rglob("*") if ".assay" not in p.parts
    )
    with pytest.raises(Error) as caught:
        definition.read(Project(folder))
    after = sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*") if ".assay" not in p.parts)
    assert before == after
    return caught.value


def stage(line: str) -> str:
    return f"stages:\n  a:\n    cmd: x\n    {line}\n"


ROWS = [
    # the text, the line, what is wrong, what to do
    (stage("deps: ['${trian.epochs}']"), 4,
     "in stage 'a', there is no variable 'trian.epochs' for '${trian.epochs}'",
     "did you mean 'train.epochs'?"),
    (stage("deps: ['${zzz}']"), 4, "no variable 'zzz'", "set it in params.yaml"),
    (stage("deps: ['${layers[2]}']"), 4, "no variable 'layers.2'", "did you mean 'layers'?"),
    (stage("deps: ['${layers.x}']"), 4, "no variable 'layers.x'", "did you mean 'layers'?"),
    (stage("deps: ['${lr.x}']"), 4, "no variable 'lr.x'", "did you mean 'lr'?"),
    (stage("deps:\n    - x\n    - 'y${nope}'"), 6, "no variable 'nope'", None),
    (stage("outs:\n    - x\n    - ${nope}:\n        cache: false"), 6, "no variable 'nope'", None),
    (stage("outs:\n    - x:\n        desc: '${nope}'"), 6, "no variable 'nope'", None),
    (stage("desc: '${}'"), 4, "'${}' is not the name of a variable", "write '${train.lr}'"),
    (stage("desc: '${a..b}'"), 4, "'${a..b}' is not the name", "for a plain '${' write '\\${'"),
    (stage("desc: '${layers[0}'"), 4, "'${layers[0}' is not the name", None),
    (stage("desc: '${layers[0]x}'"), 4, "'${layers[0]x}' is not the name", None),
    (stage("deps: ['${layers}']"), 4, "'${layers}' is a list, not text", "name one of its"),
    (stage("deps: ['${lr}']"), 4, "'${lr}' is 0.1, not text", "put it in quotes where it is set"),
    (stage("deps: ['${off}']"), 4, "'${off}' is false, not text", None),
    (stage("deps: ['${null_}']"), 4, "'${null_}' is null, not text", None),
    (stage("deps: ['x${layers}']"), 4, "'${layers}' is a list, which cannot stand in text", None),
    (stage("meta: ['${train}']"), 4, "'${train}' is a mapping, expected text or a number", None),
    ("stages:\n  a:\n    cmd: ${lr}\n", 3, "'${lr}' is 0.1, not text", "in quotes"),
    ("stages:\n  a:\n    cmd: ${train}\n", 3, "'${train}' is a mapping, not text",
     "write a command before it"),
    ("vars: [{z: {k: [[1]]}}]\nstages:\n  a:\n    cmd: x ${z}\n", 4,
     "'k' of '${z}' is a list of lists or mappings", None),
    ("vars: [set.py]\nstages:\n  a:\n    cmd: x ${S}\n", 4, "'${S}' is a set", None),
    ("stages:\n  a: {cmd: x ${lr}}\n", 2, "not valid YAML", "put text with '${...}' in quotes"),
    (stage("outs: [{o: {cache: '${off}'}}]"), 4, "'cache' is '${off}', not true or false",
     "no variable can stand here"),
    (stage("frozen: ${off}"), 4, "'frozen' of stage 'a' is '${off}', not true or false", None),
    (stage("deps: ${layers}"), 4, "'deps' of stage 'a' is '${layers}', not a list", None),
    (stage("depps: [x]"), 4, "stage 'a' has the unknown key 'depps'", "did you mean 'deps'?"),
    (stage("outs: [{o: }]"), 4, "output 'o' of stage 'a' has no properties after its ':'",
     "write '- o'"),
    (stage("outs: [{o: {labels: [1]}}]"), 4, "a label of output 'o' of stage 'a' is 1", None),
    ("vars:\n- x: 1\n- nofile.yaml\n", 3, "the file 'nofile.yaml' does not exist",
     "relative to the folder of dvc.yaml"),
    ("vars:\n- part.toml:tt,uuu\n", 2, "'part.toml' has no 'uuu' at its top level",
     "did you mean 'uu'?"),
    ("vars: [list.yaml]\n", 1, "the file 'list.yaml' is a list, not a mapping",
     "variables have names"),
    ("vars: [w]\n", 1, "'w' is a folder, not a file", "name a file in it"),
    ("vars:\n- lr: 1\n", 2, "'vars[0]' sets 'lr', which is set already in 'params.yaml'",
     "give one of them another name"),
    ("vars:\n- x: {y: 1}\n- x: {z: 2}\n- x: {y: {k: 1}}\n", 4,
     "'vars[2]' sets 'x.y', which is set already in 'vars[0]'", None),
    ("vars:\n- part.toml\n- tt: 1\n", 3, "set already in 'part.toml'", None),
    ("vars: ['params.yaml:lr']\n", 1, "asks for a part of a file that is there as a whole",
     "take the entry out"),
    ("vars: ['part.toml:tt', part.toml]\n", 1, "'part.toml' asks again", "name the file once"),
    ("vars: ['part.toml:tt', 'part.toml:uu,tt']\n", 1, "asks again", None),
    ("vars:\n- 3\n", 2, "an entry of 'vars' is 3, not a file or a mapping", "write '- FILE'"),
    ("vars:\n- x: 1\n  y: ['${lr}']\n", 3, "'${}' cannot be used in 'vars'", "write the value"),
    (stage("vars:\n    - {v: '${lr}'}"), 5, "'${}' cannot be used in 'vars'", None),
    (stage("vars:\n    - lr: 1"), 5, "'a.vars[0]' sets 'lr', which is set already", None),
    (stage("vars: [v.yaml]"), 4, "the file 'v.yaml' does not exist", "in a stage to its 'wdir'"),
    ("stages:\n  a:\n    wdir: ${v}\n    cmd: x\n    vars: [{v: w}]\n", 3, "no variable 'v'",
     None),
    ("stages:\n  a:\n    foreach: [1]\n    do:\n      cmd: x\n      vars:\n      - item: 2\n", 7,
     "'a@1.vars[0]' sets 'item', which 'foreach' and 'matrix' set themselves",
     "give it another name"),
    ("stages:\n  a:\n    foreach: [1, 2]\n    do:\n      cmd: x ${key}\n", 5,
     "in stage 'a@1', there is no variable 'key'", None),
    ("stages:\n  a:\n    foreach: [{k: 1}, {}]\n    do:\n      cmd: x ${item.k}\n", 5,
     "in stage 'a@1', there is no variable 'item.k'", "did you mean 'item'?"),
    ("stages:\n  a:\n    foreach: [1]\n    cmd: x\n    do: {cmd: x}\n", 4,
     "stage 'a' has 'cmd' beside its 'foreach'", "put it under 'do:'"),
    ("stages:\n  a:\n    foreach: [1]\n", 2, "stage 'a' has no 'do'", "add 'do:' to it"),
    ("stages:\n  a:\n    do: {cmd: x}\n", 2, "stage 'a' has no 'foreach'", None),
    ("stages:\n  a:\n    foreach: [1]\n    do:\n      cmd: x\n      matrix: {m: [1]}\n", 6,
     "'do' of stage 'a' has a 'matrix'", "make what 'foreach' lists one more name in 'matrix'"),
    ("stages:\n  a:\n    foreach: [1]\n    do:\n      cmd: x\n      dep: [y]\n", 6,
     "'do' of stage 'a' has the unknown key 'dep'", "did you mean 'deps'?"),
    ("stages:\n  a:\n    foreach: ${train.opt.name}\n    do: {cmd: x}\n", 3,
     "'foreach' is 'adam', not a list or a mapping", "write 'foreach: [a, b]'"),
    ("stages:\n  a:\n    foreach: ${nope}\n    do: {cmd: x}\n", 3, "no variable 'nope'", None),
    (stage("matrix:\n      m: [1]\n      k: abc"), 6, "'k' in 'matrix' of stage 'a' is 'abc'",
     None),
    (stage("matrix:\n      m: ${lr}"), 5, "'m' of 'matrix' is 0.1, not a list",
     "write its values"),
    (stage("matrix: {}"), 4, "'matrix' is empty", "write 'matrix: {model: [a, b]}'"),
    ("stages:\n  a@1: {cmd: x}\n  a:\n    foreach: [1]\n    do: {cmd: x}\n", 5,
     "there are two stages 'a@1': a template makes one of them", "another name"),
    ("metrics:\n- m\n- m${nope}\n", 3, "in 'metrics', there is no variable 'nope'", None),
    ("metrics:\n- m\n- ${lr}\n", 3, "an item of 'metrics' is 0.1, not text", None),
    ("artifacts:\n  a:\n    desc: x\n", 2, "artifact 'a' has no 'path'", "add 'path:'"),
    ("artifacts:\n  a:\n    path: x\n    lables: [y]\n", 4,
     "artifact 'a' has the unknown key 'lables'", "did you mean 'labels'?"),
    ("datasets:\n- name: x\n", 2, "'type' of a data set is empty, not text", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "what", "hint"), ROWS)
def test_what_cannot_be_resolved_is_named_with_its_line(
    project: Path, text: str, line: int, what: str, hint: str | None
):
    error = refusal(project, text)
    assert what in error.what
    assert error.where == f"dvc.yaml:{line}", error
    assert hint is None or hint in (error.hint or "")


def test_a_file_of_variables_that_does_not_parse_is_named_with_its_own_line(project: Path):
    error = refusal(project, "vars: [b.json]\n", b_json='{"a":\n 1,}')
    assert error.where == "b.json:2"
    error = refusal(project, "stages: {a: {cmd: 'x ${lr}'}}", params_yaml="lr: 1\nlr: 2\n")
    assert error.where == "params.yaml:2"
    assert "stands twice" in error.what


def test_a_params_yaml_that_is_no_mapping_is_named(project: Path):
    error = refusal(project, "stages: {a: {cmd: 'x ${lr}'}}", params_yaml="- 1\n")
    assert error.where == "params.yaml"
    assert "is a list, not a mapping" in error.what


def test_conflict_markers_in_a_template_are_named(project: Path):
    text = "stages:\n  a:\n<<<<<<< HEAD\n    cmd: x ${lr}\n=======\n    cmd: y\n>>>>>>> b\n"
    error = refusal(project, text)
    assert error.where == "dvc.yaml:4"
    assert "merge conflict" in (error.hint or "")


def test_a_file_in_a_folder_is_named_by_its_path_from_the_root(project: Path):
    make.write(project, {"dvc.yaml": "", "s/dvc.yaml": "vars: [../nope.yaml]\n"})
    with pytest.raises(Error) as caught:
        definition.read(Project(project))
    assert caught.value.where == "s/dvc.yaml:1"
    assert "'nope.yaml' does not exist" in caught.value.what
    (project / "s" / "dvc.yaml").unlink()


def test_a_configuration_that_is_none_is_named(project: Path):
    (project / ".dvc" / "config.local").write_text("[parsing]\nbool = maybe\n")
    error = refusal(project, "stages: {a: {cmd: x}}")
    (project / ".dvc" / "config.local").unlink()
    assert error.what == "'parsing.bool' is 'maybe', expected 'store_true' or 'boolean_optional'"
    assert "assay config parsing.bool store_true" in (error.hint or "")
