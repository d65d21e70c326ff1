"""Variables of several files are one tree, and each value is known by the file it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.project import dvcyaml
from assay.project.grammar import Source
from assay.project.variables import BadVariables, Files, Missing, Variables

keys = st.text("abé -", min_size=1, max_size=2)
trees: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    keys,
    st.recursive(
        st.one_of(st.integers(), st.none(), st.lists(st.integers(), max_size=2)),
        lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += leaves(value, (*path, key))
        else:
            found.append(((*path, key), value))
    return found


def put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


@given(trees, st.data())
def test_however_a_tree_is_spread_over_files_it_is_one_again(
    tree: dict[str, Any], data: st.DataObject
):
    parts: list[dict[str, Any]] = [{}, {}, {}]
    chosen = {}
    for path, value in leaves(tree):
        chosen[path] = data.draw(st.integers(0, 2))
        put(parts[chosen[path]], path, value)
    variables = Variables()
    for number, part in enumerate(parts):
        variables = variables.add(part, label=f"{number}.yaml", is_file=True)
    for path, value in leaves(tree):
        variables = variables.fresh()
        assert variables.select(path) == value
        assert variables.used == {f"{chosen[path]}.yaml": {".".join(path): value}}


@given(trees, st.data())
def test_a_name_is_set_once_and_a_refusal_leaves_the_variables_as_they_were(
    tree: dict[str, Any], data: st.DataObject
):
    there = leaves(tree)
    if not there:
        return
    variables = Variables().add(tree, label="a", is_file=False)
    path, value = data.draw(st.sampled_from(there))
    again: dict[str, Any] = {"new": 1}
    put(again, path, value)
    with pytest.raises(BadVariables, match="is set already in 'a'"):
        variables.add(again, label="b", is_file=False)
    assert variables.select(path) == value
    if "new" not in tree:
        with pytest.raises(Missing):
            variables.select(["new"])


def test_what_item_and_key_were_before_is_hidden_in_a_template_only():
    variables = Variables().add({"item": {"a": 1}, "b": 2}, label="p", is_file=True)
    bound = variables.bind(item=(5, {}), key=("k", {}))
    assert [bound.select([name]) for name in ("item", "key", "b")] == [5, "k", 2]
    assert bound.used == {"p": {"b": 2}}
    assert variables.select(["item", "a"]) == 1
    with pytest.raises(BadVariables, match="sets 'key', which 'foreach' and 'matrix' set"):
        bound.add({"key": 1}, label="v", is_file=False)


def test_each_file_of_variables_is_read_once_however_many_stages_name_it(tmp_path: Path):
    texts = {
        "params.yaml": "names: [" + ", ".join(f"n{n}" for n in range(500)) + "]\n",
        "common.yaml": "x: 1\n",
        "w/own.yaml": "y: 2\n",
    }
    read: list[str] = []

    def from_text(path: Path) -> Source | None:
        name = path.relative_to(tmp_path).as_posix()
        read.append(name)
        return Source(name, texts[name]) if name in texts else None

    files = Files(from_text, tmp_path)
    text = (
        "vars: [common.yaml]\nstages:\n  a:\n    foreach: ${names}\n    do:\n      wdir: w\n"
        "      cmd: c ${item} ${x} ${y}\n      vars: [own.yaml]\n"
    )
    one = dvcyaml.parse(Source("d", text), path=tmp_path / "dvc.yaml", root=tmp_path, files=files)
    assert [one.stages[0].cmd, one.stages[499].cmd] == ["c n0 1 2", "c n499 1 2"]
    other = "vars: [../common.yaml]\nstages: {b: {cmd: 'd ${x}'}}"
    two = dvcyaml.parse(
        Source("e", other), path=tmp_path / "s/dvc.yaml", root=tmp_path, files=files
    )
    assert [stage.cmd for stage in two.stages] == ["d 1"]
    assert sorted(read) == ["common.yaml", "params.yaml", "s/params.yaml", "w/own.yaml"]


def test_a_stage_knows_where_it_stands(tmp_path: Path):
    text = "stages:\n  a:\n    foreach: [1]\n    do:\n      cmd: x\n      deps:\n      - y\n"
    path = tmp_path / "s" / "dvc.yaml"
    path.parent.mkdir()
    path.write_text(text)
    (stage,) = dvcyaml.parse(Source("s", text), path=path, root=tmp_path).stages
    assert stage.place(tmp_path) == "s/dvc.yaml:4"
    assert stage.place(tmp_path, "deps", 0) == "s/dvc.yaml:7"
    path.unlink()
    assert stage.place(tmp_path) == "s/dvc.yaml"
