"""What `--set-param` does to the text of a file."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.pipeline.experiments import overrides, param_files
from assay.pipeline.experiments.grammar import Override
from assay.project import params, yaml12

YAML = """\
# what is tried
lr: 0.1   # how fast
model:
    depth: 3   # four blanks are fine
    layers: [8, 4]  # in one line
    names:
    - a
    - "b"
text: >
  folded
on: yes
"""


def set_(text: str, *given: str, suffix: str = ".yaml") -> str:
    (found,) = overrides.parse(given).values()
    return param_files.changed(text, found, suffix=suffix, where=f"params{suffix}")


@pytest.mark.parametrize(
    ("given", "old", "new"),
    [
        ("lr=0.5", "lr: 0.1   # how", "lr: 0.5   # how"),
        ("model.depth=7", "depth: 3   # four", "depth: 7   # four"),
        ("model.layers=[1,2,3]", "layers: [8, 4]  #", "layers: [1, 2, 3]  #"),
        ("model.layers.1=9", "layers: [8, 4]  #", "layers: [8, 9]  #"),
        ("model.names.1=c", '- "b"', "- c"),
        ("lr=", "lr: 0.1   # how", "lr: ''   # how"),
        ("lr='a: b # c'", "lr: 0.1   # how", 'lr: "a: b # c"   # how'),
        ("lr='12'", "lr: 0.1   # how", "lr: '12'   # how"),
        ("lr=null", "lr: 0.1   # how", "lr: null   # how"),
        ("lr=1e-5", "lr: 0.1   # how", "lr: 1e-05   # how"),
    ],
)
def test_a_value_is_put_in_its_place_and_nothing_else_is_touched(given, old, new):
    assert set_(YAML, given) == YAML.replace(old, new)


def test_what_is_added_to_yaml_leaves_the_comments():
    found = set_(YAML, "+model.width=2", "+note=new")
    assert "lr: 0.1   # how fast\n" in found
    assert "width: 2" in found
    assert "note: new" in found


def test_what_is_deleted_from_yaml_leaves_the_comments():
    found = set_(YAML, "~on", "~model.names")
    assert "# what is tried" in found
    assert "names" not in found


def test_json_keeps_its_indent():
    assert set_('{\n  "lr": 0.1,\n  "a": {"b": 1}\n}\n', "lr=2", suffix=".json").startswith(
        '{\n  "lr": 2,\n'
    )


def test_toml_keeps_its_comments():
    text = '# top\nlr = 0.1 # fast\n[model]\nn = 1 # one\ns = "x"\n'
    found = set_(text, "lr=0.5", "model.n=2", suffix=".toml")
    assert found == text.replace("lr = 0.1", "lr = 0.5").replace("n = 1", "n = 2")


PYTHON = """\
# what is tried
LR: float = 0.1  # fast
LAYERS = [
    8,
    4,
]
OPT = {"name": "adam", "beta": 0.9}
class Model:
    depth = 3; width = 4  # two in a line
    def __init__(self):
        self.äöü = "x"
        self.drop = 0.1
"""


@pytest.mark.parametrize(
    ("given", "old", "new"),
    [
        ("LR=0.5", "0.1  # fast", "0.5  # fast"),
        ("LAYERS=[1]", "[\n    8,\n    4,\n]", "[1]"),
        ("OPT.beta=1", "0.9}", "1}"),
        ("Model.depth=30", "depth = 3;", "depth = 30;"),
        ("Model.drop=x", "self.drop = 0.1", "self.drop = 'x'"),
    ],
)
def test_a_value_of_python_is_replaced_in_the_text(given, old, new):
    assert set_(PYTHON, given, suffix=".py") == PYTHON.replace(old, new)


@pytest.mark.parametrize("given", ["+NEW=1", "~LR"])
def test_python_takes_no_new_names(given):
    with pytest.raises(Error, match="edit the file"):
        set_(PYTHON, given, suffix=".py")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("modl.depth=3", "did you mean 'model.depth'.*to add it: -S '\\+modl.depth=3'"),
        ("zzz=3", "to add it: -S '\\+zzz=3'"),
        ("~zzz", "there is no parameter 'zzz'"),
        ("~lr=7", "'lr' is 0.1, not 7"),
        ("+lr=7", "'lr' is there already.*-S 'lr=7'.*-S '\\+\\+lr=7'"),
        ("model={dpth: 3}", "there is no 'model.dpth'(.|\n)*did you mean 'depth'"),
        ("model=[1]", "'model' is a mapping, and cannot become a list"),
        ("model.layers.7=1", "there is no parameter 'model.layers.7'"),
    ],
)
def test_a_key_that_does_not_fit_is_refused_with_what_to_do(given, said):
    with pytest.raises(Error) as caught:
        set_(YAML, given)
    import re

    assert re.search(said, str(caught.value), re.DOTALL), str(caught.value)
    assert "params.yaml" in str(caught.value)


def test_a_file_of_another_kind_is_refused():
    with pytest.raises(Error, match="keep them in YAML"):
        set_("lr=1", "lr=2", suffix=".ini")


def test_a_sweep_is_a_product_whose_last_override_changes_fastest():
    found = overrides.product(overrides.parse(["lr=0.5,0.6", "c.toml:n=range(1,3)", "k=x"]))
    assert [overrides.describe(one) for one in found] == [
        "lr=0.5, k=x, c.toml:n=1",
        "lr=0.5, k=x, c.toml:n=2",
        "lr=0.6, k=x, c.toml:n=1",
        "lr=0.6, k=x, c.toml:n=2",
    ]


NAMES = st.sampled_from(["a", "b", "c", "lr", "on", "x1"])
SCALARS = (
    st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text(
        st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=8
    )
    | st.sampled_from(["yes", "1e-4", "0x1", "null", "~", "- a", "a: b", "# c", "'", '"', "", " "])
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
DATA = st.recursive(
    st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
    lambda below: st.dictionaries(NAMES, VALUES | below, min_size=1, max_size=4),
    max_leaves=8,
)


def as_yaml(data: Any, flow: bool | None) -> str:
    return yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True, sort_keys=False)


def as_python(data: Any, _flow: bool | None) -> str:
    return "# top\n" + "".join(f"{key} = {value!r}  # why\n" for key, value in data.items())


WRITERS = {
    ".yaml": as_yaml,
    ".json": lambda data, flow: json.dumps(data, indent=None if flow else 2),
    ".py": as_python,
}


def load(text: str, suffix: str) -> Any:
    if suffix == ".yaml":
        return yaml12.load(text, where="")
    return params.parse(text, suffix=suffix, where="")


@pytest.mark.parametrize("suffix", WRITERS)
@settings(max_examples=150, deadline=None)
@given(data=DATA, value=VALUES, flow=st.sampled_from([True, False, None]), draw=st.data())
def test_a_changed_file_says_what_the_change_says(suffix, data, value, flow, draw):
    text = WRITERS[suffix](data, flow)
    before = load(text, suffix)
    key = draw.draw(st.sampled_from(sorted(params.flatten(before))))
    one = Override(kind="change", key=key, value=value, text=f"{key}=...")
    try:
        after = overrides.applied(before, [one], where="")
    except Error:
        return  # a list cannot become a mapping
    found = param_files.changed(text, [one], suffix=suffix, where="")
    again = load(found, suffix)
    assert json.dumps(again) == json.dumps(after)
