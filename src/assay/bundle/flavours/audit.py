"""What a model's file may hold: objects of scikit-learn and NumPy that run no code of a user.

skops asks for trust in a type, whatever is in it. Here the file is looked at before skops makes
anything of it: which nodes it has, which types they name and, for trees, their content.
"""

from __future__ import annotations

import json

from assay.base.errors import Error
from assay.bundle.flavours import canonical, trees
from assay.bundle.flavours.canonical import Node

CHECK_ARRAY = "sklearn.utils.validation.check_array"
PARTIAL = "functools.partial"
DTYPE = "numpy.dtype"
BUNCH = "sklearn.utils._bunch.Bunch"

_BY_LOADER = {
    trees.TREE: "TreeNode",
    trees.PREDICTOR: "ObjectNode",
    CHECK_ARRAY: "FunctionNode",
    PARTIAL: "PartialNode",
    BUNCH: "DictNode",
    DTYPE: "DTypeNode",
}
"""Types that skops does not trust, and the one kind of node in which each is harmless."""

_LOADERS = {
    "ConstructorFromReduceNode", "DTypeNode", "DefaultDictNode", "DictNode", "FunctionNode",
    "JsonNode", "ListNode", "LossNode", "NdArrayNode", "ObjectNode", "PartialNode",
    "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode", "TreeNode", "TupleNode",
    "TypeNode",
}  # fmt: skip

_UNCHECKED = (
    "sklearn.cluster.",
    "sklearn.neighbors.",
    "sklearn.manifold.",
    "sklearn.svm._classes.",
)
_READERS = {"CountVectorizer", "HashingVectorizer", "TfidfVectorizer"}
_LINEAR = {"LinearSVC", "LinearSVR"}
_PLAIN = {"DictNode", "ListNode", "TupleNode", "JsonNode", "TypeNode"}
_OURS = {"sklearn", "numpy", "scipy", "builtins", "functools", "collections"}


def check(content: bytes, *, where: str) -> None:
    """Raise unless a skops file in canonical form can be loaded and asked without harm.

    Raises
    ------
    assay.Error
        With the reason: code of a user, a type that holds indices which nobody has checked, or a
        forged tree.
    """
    import skops.io
    from skops.io._protocol import PROTOCOL

    schema, members = canonical.read(content, where=where)
    try:
        if schema.get("protocol") != PROTOCOL:  # an older one chooses other code
            raise canonical.damaged(f"it is of the protocol {schema.get('protocol')!r}", where)
        for node in canonical.nodes(schema):
            _check_node(node, where=where)
        foreign = set(skops.io.get_untrusted_types(data=content)) - {*_BY_LOADER}
        if foreign:
            raise _foreign(min(foreign), where)
        trees.Checker(members, where=where).check(schema)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"it contradicts itself ({type(error).__name__}: {error})"
        raise canonical.damaged(what, where) from error


def trusted() -> list[str]:
    """Return the types that skops may make of a checked file beside those it trusts."""
    return sorted(_BY_LOADER)


def _check_node(node: Node, *, where: str) -> None:
    loader, name = node["__loader__"], f"{node['__module__']}.{node['__class__']}"
    if name.partition(".")[0] not in _OURS and loader != "OperatorFuncNode":
        raise _foreign(name, where)
    if loader not in _LOADERS:
        raise Error(
            f"the model holds a {name}, which a bundle cannot keep ({loader})",
            where=where,
            hint="of sparse coefficients make dense ones: estimator.densify()"
            if loader == "SparseMatrixNode"
            else "use an estimator without it",
        )
    if _BY_LOADER.get(name, loader) != loader or (loader == "TreeNode" and name != trees.TREE):
        raise canonical.damaged(f"{name} stands where it is never written ({loader})", where)
    if name.startswith(_UNCHECKED) and node["__class__"] not in _LINEAR:
        raise Error(
            f"the model holds a {name}, whose compiled code follows what is in the file without "
            "looking; this version checks trees only",
            where=where,
            hint="use another estimator: linear models, trees, forests, boosting, networks",
        )
    if node["__class__"] in _READERS and _attribute(node, "input") != '"content"':
        raise Error(
            f"the {node['__class__']} opens files that a request names",
            where=where,
            hint="use input='content'",
        )
    if loader == "PartialNode":
        _check_partial(node, where=where)


def _attribute(node: Node, name: str) -> object:
    return node["content"]["content"].get(name, {}).get("content")


def _check_partial(node: Node, *, where: str) -> None:
    """Accept what histogram gradient boosting keeps for its categories, and nothing else."""
    content = node["content"]
    function, args, keywords = content["func"], content["args"], content["kwds"]
    namespace = content["namespace"]
    plain = {inner["__loader__"] for inner in canonical.nodes(keywords)} <= _PLAIN
    empty = namespace.get("content") in ({}, "null", "{}")
    is_check = f"{function['__module__']}.{function['__class__']}" == CHECK_ARRAY
    if not (is_check and function["__loader__"] == "FunctionNode" and plain and empty):
        name = f"{function['__module__']}.{function['__class__']}"
        raise _foreign(f"functools.partial of {name}", where)
    if args["content"]:
        raise canonical.damaged(f"a partial has arguments: {json.dumps(args)[:80]}", where)


def _foreign(name: str, where: str) -> Error:
    return Error(
        f"the model holds {name}, which is code of its own: a bundle keeps what scikit-learn's "
        "transformers and estimators have learnt, and never code",
        where=where,
        hint="do that step with a transformer of scikit-learn, or in the stage that makes the "
        "features",
    )
