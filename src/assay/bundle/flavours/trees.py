"""Whether the trees in a model's file can be followed: compiled code does so without looking.

Checked are the arrays as they lie in the file, before anything is made of them. A tree passes if
each child comes after its parent and is there, if each feature is one that its estimator has
checked the rows for, and if its arrays are of the sizes that it states.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assay.bundle.flavours.canonical import Node, array, damaged

if TYPE_CHECKING:
    from assay.bundle.signature import Values

TREE = "sklearn.tree._tree.Tree"
PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
BITSET_WORDS = 8
_BOOSTING = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_DUMMY = "DummyClassifier"


class Checker:
    """Checks the trees of one file.

    Parameters
    ----------
    members : dict
        The members of the file by name.
    where : str
        What errors name.
    """

    def __init__(self, members: dict[str, bytes], *, where: str) -> None:
        self._members, self._where = members, where

    def check(self, schema: Node) -> None:
        """Look at every tree of a schema.

        Raises
        ------
        assay.Error
            At the first that cannot be followed, with the index that is wrong.
        """
        self._walk(schema, ())

    def _walk(self, value: Any, owners: Sequence[Node]) -> None:
        if isinstance(value, list):
            for child in value:
                self._walk(child, owners)
            return
        if not isinstance(value, dict):
            return
        if value.get("__loader__") == "TreeNode":
            self._tree(value, owners)
        elif value.get("__loader__") == "ObjectNode":
            if value["__class__"] == "TreePredictor":
                self._predictor(value, owners)
            elif value["__class__"] in _BOOSTING:
                self._boosting(value)
            owners = (*owners, value)
        for child in value.values():
            self._walk(child, owners)

    def _tree(self, node: Node, owners: Sequence[Node]) -> None:
        """Check a tree of `sklearn.tree`."""
        import numpy as np
        from sklearn.tree._tree import NODE_DTYPE

        sizes = node["__reduce__"]["args"]["content"]
        n_features, n_outputs = _json(sizes[0]), _json(sizes[2])
        n_classes = array(sizes[1], self._members)
        state = node["content"]["content"]
        rows, values = (array(state[name], self._members) for name in ("nodes", "values"))
        self._expect(rows.dtype == NODE_DTYPE and rows.ndim == 1, "the nodes are of another type")
        count = len(rows)
        self._expect(count > 0 and _json(state["node_count"]) == count, "it has no such nodes")
        self._expect(
            n_classes.shape == (n_outputs,)
            and n_classes.dtype.kind == "i"
            and n_classes.min() > 0,
            "its classes contradict themselves",
        )
        shape = (count, n_outputs, int(n_classes.max()))
        self._expect(
            values.shape == shape and values.dtype == np.float64, f"its values are not {shape}"
        )
        left, right = rows["left_child"], rows["right_child"]
        inner = left != -1
        self._expect(bool((right[~inner] == -1).all()), "a leaf has a child")
        self._children(left, right, inner)
        self._features(rows["feature"], inner, limit=n_features)
        deep = _depth(left, right, inner)
        self._expect(_json(state["max_depth"]) >= deep, "it is deeper than it states")
        owned = _number(owners, "n_features_in_")
        self._expect(owned == n_features, f"it is of {n_features} features, its estimator {owned}")

    def _predictor(self, node: Node, owners: Sequence[Node]) -> None:
        """Check a tree of histogram gradient boosting."""
        import numpy as np
        from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

        state = _attributes(node)
        names = ("nodes", "raw_left_cat_bitsets", "binned_left_cat_bitsets")
        rows, *bitsets = (array(state[name], self._members) for name in names)
        self._expect(
            rows.dtype == PREDICTOR_RECORD_DTYPE and rows.ndim == 1 and len(rows) > 0,
            "the nodes are of another type",
        )
        for bits in bitsets:
            self._expect(
                bits.dtype == np.uint32 and bits.ndim == 2 and bits.shape[1] == BITSET_WORDS,
                "its sets of categories are of another type",
            )
        inner = rows["is_leaf"] == 0
        left, right = (rows[name].astype(np.int64) for name in ("left", "right"))
        self._children(left, right, inner)
        owner = next((o for o in reversed(owners) if "_bin_mapper" in _attributes(o)), None)
        self._expect(owner is not None, "it belongs to no estimator")
        owned = _attributes(owner or {})
        mapper = _attributes(owned["_bin_mapper"])
        is_categorical = array(mapper["is_categorical_"], self._members)
        n_features = _json(owned["_n_features"])
        self._expect(
            is_categorical.shape == (n_features,),
            "its estimator states other features than it has",
        )
        self._features(rows["feature_idx"], inner, limit=n_features)
        by_category = inner & (rows["is_categorical"] != 0)
        chosen = rows["feature_idx"][by_category]
        self._expect(bool((is_categorical[chosen] != 0).all()), "it splits numbers by category")
        n_sets = min(len(bits) for bits in bitsets)
        self._expect(
            bool((rows["bitset_idx"][by_category] < n_sets).all()),
            f"a set of categories is out of range: there are {n_sets}",
        )

    def _boosting(self, node: Node) -> None:
        """Check that boosted trees have the shape that compiled code adds them up by."""
        state = _attributes(node)
        rows = state["estimators_"]
        width = _json(state["n_trees_per_iteration_"])
        shape = [_json(size) for size in rows["shape"]["content"]]
        self._expect(
            rows.get("type") == "json" and shape == [len(rows["content"]), width],
            "its stages are not of the shape that it states",
        )
        n_features = _json(state["n_features_in_"])
        for stage in rows["content"]:
            trees = stage["content"]
            self._expect(len(trees) == width, "its stages are not of the shape that it states")
            for tree in trees:
                inner = _attributes(tree)["tree_"]
                sizes = inner["__reduce__"]["args"]["content"]
                self._expect(
                    _json(sizes[0]) == n_features and _json(sizes[2]) == 1,
                    "a stage is of other features than the estimator",
                )
        if width > 1 and _plain(state["init"]) != "zero":
            first = state["init_"]
            known = first["__class__"] == _DUMMY and first["__loader__"] == "ObjectNode"
            prior = array(_attributes(first)["class_prior_"], self._members) if known else None
            self._expect(
                prior is not None and prior.shape == (width,),
                "its first answer is not one number a class; give 'init' None or 'zero'",
            )

    def _children(self, left: Values, right: Values, inner: Values) -> None:
        import numpy as np

        place = np.arange(len(left))
        for name, child in (("left", left), ("right", right)):
            wrong = inner & ((child <= place) | (child >= len(left)))
            if wrong.any():
                at = int(wrong.argmax())
                what = "itself or one before it" if child[at] <= at else "one that is not there"
                self._expect(
                    ok=False,
                    what=f"node {at} of {len(left)} has the {name} child {child[at]}, {what}",
                )

    def _features(self, features: Values, inner: Values, *, limit: int) -> None:
        wrong = inner & ((features < 0) | (features >= limit))
        if wrong.any():
            at = int(wrong.argmax())
            self._expect(
                ok=False, what=f"node {at} asks for feature {features[at]} of {limit}"
            )  # fmt: skip

    def _expect(self, ok: bool, what: str) -> None:
        if not ok:
            raise damaged(f"a tree is forged or damaged: {what}", self._where)


def _depth(left: Values, right: Values, inner: Values) -> int:
    """Return the length of the longest path; children come after their parents."""
    import numpy as np

    depth, level = 0, np.zeros(1, np.int64)
    while True:
        level = level[inner[level]]
        if not len(level):
            return depth
        level = np.unique(np.concatenate([left[level], right[level]]))
        depth += 1


def _attributes(node: Node) -> dict[str, Any]:
    content: dict[str, Any] = (node.get("content") or {}).get("content") or {}
    return content


def _plain(node: Node) -> Any:
    return json.loads(node["content"]) if node.get("__loader__") == "JsonNode" else None


def _json(node: Node) -> int:
    """Return the whole number that a node holds."""
    found = _plain(node)
    if type(found) is not int or found < 0:
        raise ValueError("expected is a whole number")
    return found


def _number(owners: Sequence[Node], name: str) -> int:
    """Return what the innermost object says."""
    return _json(_attributes(owners[-1])[name])
