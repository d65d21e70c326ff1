"""A forged model file is refused before anything of it is made or asked."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.base.errors import Error
from assay.bundle.flavours import canonical, sklearn
from assay.bundle.load import load
from tests.bundle import trained

Edit = Callable[[dict[str, Any], dict[str, bytes]], None]


def forged(content: bytes, edit: Edit) -> bytes:
    """Return a model file after an edit of its schema or members."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop("schema.json"))
    edit(schema, members)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member)
        archive.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema))
    return target.getvalue()


def change_array(node: dict[str, Any], members: dict[str, bytes], new: Any) -> None:
    target = io.BytesIO()
    np.save(target, new, allow_pickle=False)
    name = f"9{len(members):05}.npy"
    members[name] = target.getvalue()
    old, node["file"] = node["file"], name
    members.setdefault(old, b"")


def drop_unused(schema: dict[str, Any], members: dict[str, bytes]) -> None:
    used = {node["file"] for node in canonical.nodes(schema) if "file" in node}
    for name in [name for name in members if name not in used]:
        del members[name]


def in_tree(field: str, at: int, value: int) -> Edit:
    """Return an edit of a node of the first tree, whichever kind it is."""

    def edit(schema: dict[str, Any], members: dict[str, bytes]) -> None:
        node = next(
            n
            for n in canonical.nodes(schema)
            if n["__loader__"] == "TreeNode" or n["__class__"] == "TreePredictor"
        )
        rows_node = node["content"]["content"]["nodes"]
        rows = canonical.array(rows_node, members).copy()
        rows[field][at] = value
        change_array(rows_node, members, rows)
        drop_unused(schema, members)

    return edit


def in_json(kind: str, name: str, value: Any) -> Edit:
    """Return an edit of a plain attribute of the first node of a class."""

    def edit(schema: dict[str, Any], members: dict[str, bytes]) -> None:
        found = [
            n["content"]["content"] for n in canonical.nodes(schema) if n["__class__"] == kind
        ]
        attributes = next(one for one in found if name in one)  # one that was fitted
        attributes[name]["content"] = json.dumps(value)

    return edit


@pytest.mark.parametrize("make_model", [trained.boosting, trained.forest, trained.staged])
def test_an_honest_file_passes(make_model):
    content = sklearn.dump(make_model())
    assert sklearn.load(forged(content, lambda *_: None), where="m") is not None


@pytest.mark.parametrize(
    ("field", "at", "value", "message"),
    [
        ("left_child", 0, 10_000, "one that is not there"),
        ("right_child", 0, 10_000, "one that is not there"),
        ("left_child", 0, -2, "itself or one before it"),
        ("left_child", 0, 0, "itself or one before it"),
        ("right_child", 1, 0, "itself or one before it"),
        ("feature", 0, 4, "feature 4 of 4"),
        ("feature", 0, -2, "feature -2 of 4"),
        ("right_child", -1, 3, "a leaf has a child"),
    ],
)
def test_a_tree_whose_indices_lead_astray_is_refused(field, at, value, message):
    content = forged(sklearn.dump(trained.forest()), in_tree(field, at, value))
    with pytest.raises(Error, match=message):
        sklearn.load(content, where="m")


@pytest.mark.parametrize(
    ("field", "at", "value", "message"),
    [
        ("left", 0, 10_000, "one that is not there"),
        ("right", 0, 0, "itself or one before it"),
        ("left", 1, 1, "itself or one before it"),
        ("feature_idx", 0, 4, "feature 4 of 4"),
        ("feature_idx", 0, -1, "feature -1 of 4"),
        ("is_leaf", -1, 0, "itself or one before it"),
    ],
)
def test_a_boosted_tree_whose_indices_lead_astray_is_refused(field, at, value, message):
    content = forged(sklearn.dump(trained.boosting()), in_tree(field, at, value))
    with pytest.raises(Error, match=message):
        sklearn.load(content, where="m")


def test_a_split_by_a_set_of_categories_that_is_not_there_is_refused():
    def edit(schema: dict[str, Any], members: dict[str, bytes]) -> None:
        for node in canonical.nodes(schema):
            if node["__class__"] != "TreePredictor":
                continue
            rows_node = node["content"]["content"]["nodes"]
            rows = canonical.array(rows_node, members).copy()
            inner = np.flatnonzero(rows["is_leaf"] == 0)[0]
            rows["is_categorical"][inner] = 1
            rows["feature_idx"][inner] = 0  # remapped: the categorical column comes first
            rows["bitset_idx"][inner] = 999
            change_array(rows_node, members, rows)
        drop_unused(schema, members)

    with pytest.raises(Error, match="set of categories is out of range"):
        sklearn.load(forged(sklearn.dump(trained.boosting()), edit), where="m")


@pytest.mark.parametrize(
    ("make_model", "edit", "message"),
    [
        (trained.forest, in_json("Tree", "node_count", 10_000), "has no such nodes"),
        (trained.forest, in_json("Tree", "max_depth", 0), "deeper than it states"),
        (
            trained.forest,
            in_json("DecisionTreeClassifier", "n_features_in_", 2),
            "its estimator 2",
        ),
        (
            trained.boosting,
            in_json("HistGradientBoostingRegressor", "_n_features", 2),
            "other features",
        ),
        (
            trained.staged,
            in_json("GradientBoostingClassifier", "n_trees_per_iteration_", 1),
            "not of the shape",
        ),
        (
            trained.staged,
            in_json("GradientBoostingClassifier", "n_features_in_", 2),
            "other features than the estimator",
        ),
    ],
)
def test_sizes_that_contradict_the_arrays_are_refused(make_model, edit, message):
    content = forged(sklearn.dump(make_model()), edit)
    with pytest.raises(Error, match=message):
        sklearn.load(content, where="m")


def test_fewer_first_answers_than_classes_are_refused():
    def edit(schema: dict[str, Any], members: dict[str, bytes]) -> None:
        node = next(n for n in canonical.nodes(schema) if n["__class__"] == "DummyClassifier")
        change_array(node["content"]["content"]["class_prior_"], members, np.array([0.5]))
        drop_unused(schema, members)

    with pytest.raises(Error, match="not one number a class"):
        sklearn.load(forged(sklearn.dump(trained.staged()), edit), where="m")


def as_function(name: str, module: str) -> Edit:
    def edit(schema: dict[str, Any], members: dict[str, bytes]) -> None:
        attributes = schema["content"]["content"]
        attributes["n_estimators"] = {
            "__class__": name, "__module__": module, "__loader__": "FunctionNode",
        }  # fmt: skip

    return edit


def as_older(schema: dict[str, Any], members: dict[str, bytes]) -> None:
    schema["protocol"] = 0


def as_shared(schema: dict[str, Any], members: dict[str, bytes]) -> None:
    for node in canonical.nodes(schema):
        node["__id__"] = 1


def as_empty_tree(schema: dict[str, Any], members: dict[str, bytes]) -> None:
    node = next(n for n in canonical.nodes(schema) if n["__loader__"] == "TreeNode")
    args = node.pop("__reduce__")["args"]
    node["__loader__"], node["content"] = "ConstructorFromReduceNode", args
    drop_unused(schema, members)


def as_method(schema: dict[str, Any], members: dict[str, bytes]) -> None:
    attributes = schema["content"]["content"]
    attributes["verbose"] = {
        "__class__": "RandomForestClassifier", "__module__": schema["__module__"],
        "__loader__": "MethodNode",
        "content": {"func": "fit", "obj": dict(attributes["verbose"])},
    }  # fmt: skip


def with_member(schema: dict[str, Any], members: dict[str, bytes]) -> None:
    members["000099.npy"] = b""


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (as_function("system", "os"), "os.system, which is code of its own"),
        (as_function("check_array", "sklearn.utils"), "code of its own"),
        (as_function("eval", "builtins"), "builtins.eval, which is code"),
        (as_older, "protocol 0"),
        (as_shared, "not in the form"),
        (as_empty_tree, "stands where it is never written"),
        (as_method, "cannot keep"),
        (with_member, "members that nothing names"),
    ],
)
def test_code_and_forms_that_are_never_written_are_refused(edit, message):
    content = forged(sklearn.dump(trained.forest()), edit)
    with pytest.raises(Error, match=message):
        sklearn.load(content, where="m")


@pytest.mark.parametrize("content", [b"", b"PK", b"\0" * 100, b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_model_file_is_refused(content):
    with pytest.raises(Error, match="cannot be trusted"):
        sklearn.load(content, where="m")


def test_a_deep_document_is_refused():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("schema.json", "[" * 100_000)
    with pytest.raises(Error, match="cannot be trusted"):
        sklearn.load(target.getvalue(), where="m")


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_pickle_in_an_array_is_never_run(tmp_path: Path):
    mark = tmp_path / "ran"
    target = io.BytesIO()
    np.save(target, np.array([Payload(mark)], object), allow_pickle=True)

    def edit(schema: dict[str, Any], members: dict[str, bytes]) -> None:
        for name in members:
            members[name] = target.getvalue()

    with pytest.raises(Error, match="cannot be trusted"):
        sklearn.load(forged(sklearn.dump(trained.forest()), edit), where="m")
    assert not mark.exists()


def test_a_bundle_forged_with_its_hashes_is_refused_too(tmp_path: Path):
    bundle = trained.bundle(tmp_path / "bundle")
    model = forged(bundle.contents.files["model.skops"], in_tree("left", 0, 10_000))
    trained.rewrite(tmp_path / "bundle", model=model)
    with pytest.raises(Error, match=r"model\.skops: the model's file cannot be trusted: a tree"):
        load(tmp_path / "bundle", force=True)


def test_nothing_here_can_unpickle():
    room = Path(__file__).parents[2] / "src" / "assay" / "bundle"
    for file in room.rglob("*.py"):
        text = file.read_text()
        assert "import pickle" not in text
        assert "import joblib" not in text
        assert "allow_pickle=True" not in text
