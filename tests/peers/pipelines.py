"""Pipelines in all the grammar of `dvc.yaml`, drawn: what DVC and we must resolve alike.

`files()` draws a project as texts by path. Each command does little, and can be run: inputs are
there, an output is made by one stage, and no name depends on the machine.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

NAMES = ("a", "b-c", "x_1", "v1.5", "Two")
NUMBERS = (1, 2, 30, 0.5, 1e-3, 1.5e-7, 1e20, -4)
TEXTS = ("word", "two words", "it's", "x.y", "1", "true", "on")

names = st.sampled_from(NAMES)
scalars = st.sampled_from([*NUMBERS, *TEXTS, True, False, None])
labels = st.sampled_from([*NAMES, 1, 2, 30, 0.5, 1e-3, True, None])


def text_of(value: Any) -> str:
    return str(value).lower()


class Template(NamedTuple):
    """What makes several stages of one, and what to write where their names and values stand."""

    kind: str
    data: Any
    label: str
    value: str
    mappings: tuple[str, ...] = ()


BY_NAME = (
    Template("foreach", "${labels}", "${item}", "${item}"),
    Template("foreach", "${models}", "${key}", "${item.n}"),
    Template("foreach", "${rows}", "${item.id}", "${item.n}"),
    Template("matrix", {"r": "${rows}", "m": "${models}"}, "${key}", "${item.r.n}"),
)


class Scene(NamedTuple):
    """The variables of a file: its own files, what `vars` lists, and `${}` that name values."""

    files: dict[str, str]
    listed: list[Any]
    singles: list[str]
    mappings: list[str]


def dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


@st.composite
def values(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what `params.yaml` holds: the names are known, the values are not."""
    return {
        "lr": draw(st.sampled_from(NUMBERS)),
        "name": draw(st.sampled_from(TEXTS)),
        "flag": draw(st.booleans()),
        "none": None,
        "folder": "w",
        "nested": {
            "deep": {"er": draw(scalars)},
            "items": draw(st.lists(scalars, min_size=1, max_size=3)),
        },
        "options": draw(
            st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=4)
        ),
        "labels": draw(st.lists(labels, min_size=1, max_size=3, unique_by=text_of)),
        "models": draw(
            st.dictionaries(names, st.fixed_dictionaries({"n": scalars}), min_size=1, max_size=3)
        ),
        "rows": [
            {"id": name, "n": draw(scalars)}
            for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))
        ],
    }  # fmt: skip


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Draw the variables of a `dvc.yaml`."""
    held = draw(values())
    files = {"params.yaml": dump(held)}
    listed: list[Any] = []
    singles = ["${lr}", "${name}", "${ flag }", "${none}", "${nested.deep.er}",
               "${nested[items][0]}", "${nested.items[-1]}", "${nested[deep].er}"]  # fmt: skip
    mappings = ["${options}", "${nested}"]
    if draw(st.booleans()):
        listed.append({"inline": draw(scalars), "nested": {"deep": {"more": draw(scalars)}}})
        singles += ["${inline}", "${nested.deep.more}"]
    if draw(st.booleans()):
        suffix, text = draw(other_files())
        files[f"other{suffix}"] = text
        keys = draw(st.sampled_from(["", ":o_num,o_map", ":o_num"]))
        listed.append(f"other{suffix}{keys}")
        singles.append("${o_num}")
        if keys != ":o_num":
            singles.append("${o_map.text}")
            mappings.append("${o_map}")
    if draw(st.booleans()):
        listed.append("./params.yaml")  # what is there already may be named again
    return Scene(files, listed, singles, mappings)


@st.composite
def other_files(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a file of variables in one of the formats."""
    inner = {"text": draw(st.sampled_from(TEXTS)), "flag": draw(st.booleans())}
    number = draw(st.sampled_from(NUMBERS))
    held = {"o_num": number, "o_map": inner}
    suffix = draw(st.sampled_from([".yaml", ".json", ".toml", ".py", ".yml"]))
    if suffix == ".json":
        return suffix, json.dumps(held)
    if suffix == ".toml":
        table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in inner.items())
        return suffix, f"o_num = {number!r}\n[o_map]\n{table}\n"
    if suffix == ".py":
        return suffix, f"o_num = {number!r}\no_map = {inner!r}\n"
    return suffix, dump({**held, "o_map": {**inner, 3: "has no name"}})


@st.composite
def templates(draw: st.DrawFn) -> Template | None:
    """Draw nothing, or the data of a `foreach` or `matrix`."""
    chosen = draw(
        st.sampled_from(["plain", "plain", "list", "rows", "map", "deep", "axes", "var"])
    )
    unique = draw(st.lists(labels, min_size=1, max_size=3, unique_by=text_of))
    keys = draw(st.lists(names, min_size=1, max_size=2, unique=True))
    if chosen == "list":
        return Template("foreach", unique, "${item}", "${item}")
    if chosen == "rows":
        rows = [{"id": key, "v": draw(scalars)} for key in keys]
        return Template("foreach", rows, "${item.id}", "${item[v]}")
    if chosen == "map":
        return Template("foreach", {key: draw(scalars) for key in keys}, "${key}", "${item}")
    if chosen == "deep":
        deep = {key: {"v": draw(scalars), "from": "${lr}"} for key in keys}
        return Template("foreach", deep, "${key}", "${item.v} ${item.from}", ("${item}",))
    if chosen == "axes":
        second = draw(st.sampled_from(["${labels}", [1, {"n": 2}], [True, "${flag}"], ["z"]]))
        return Template("matrix", {"m": unique, "k": second}, "${key}", "${item.m} ${key}")
    if chosen == "var":
        return BY_NAME[draw(st.integers(0, len(BY_NAME) - 1))]
    return None


@st.composite
def stages(
    draw: st.DrawFn, number: int, scene: Scene, before: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Draw one stage, or a template of some, and the outputs that later stages can read."""
    template = draw(templates())
    wdir = draw(st.sampled_from([None, None, None, "w", "${folder}"]))
    up = "../" if wdir else ""
    label = f"-{template.label}" if template else ""
    singles = [*scene.singles, *([template.value] if template else [])]
    mappings = [*scene.mappings, *(template.mappings if template else ())]
    body: dict[str, Any] = {}
    if wdir:
        body["wdir"] = wdir
    if draw(st.integers(0, 3)) == 0:
        body["vars"] = [{"own": draw(scalars), "nested": {"own": 1}}]
        singles += ["${own}", "${nested.own}"]
    deps = draw(st.lists(st.sampled_from(["in.txt", *before]), max_size=2, unique=True))
    if deps:
        body["deps"] = [f"{up}{dep}" for dep in deps]
    params = draw(asked(up))
    if params:
        body["params"] = params
    lines = []
    for n in range(draw(st.integers(1, 2))):
        out = f"{up}o{number}{n}{label}.txt"
        said = draw(st.lists(st.sampled_from(singles), max_size=2))
        said += draw(st.sampled_from([[], [], ["\\${lr}"]]))
        flags_of = draw(st.sampled_from(["", "", "", draw(st.sampled_from(mappings))]))
        lines.append(f'echo "{" ".join(said)}" {flags_of} > {out}')
        key = draw(st.sampled_from(["outs", "outs", "metrics", "plots"]))
        flags = draw(properties(key, singles))
        body.setdefault(key, []).append({out: flags} if flags else out)
    commands = [" && ".join(lines), lines, "\n".join(lines) + "\n"]
    body = {"cmd": draw(st.sampled_from(commands)), **body}
    if draw(st.integers(0, 4)) == 0:
        body["desc"] = f"makes {draw(st.sampled_from(singles))}"
        body["meta"] = {"of ${lr}": [draw(st.sampled_from(singles)), 1]}
    if draw(st.integers(0, 5)) == 0:
        body["always_changed"] = True
    if template is None:
        return body, [f"o{number}0.txt"]
    if template.kind == "foreach":
        return {"foreach": template.data, "do": body}, []
    return {"matrix": template.data, **body}, []


@st.composite
def asked(draw: st.DrawFn, up: str) -> list[Any]:
    """Draw what a stage has under `params`."""
    choices = [
        ["lr"], ["lr", "nested.deep"], ["nested.items.0"],
        [{f"{up}params.yaml": ["flag", "lr"]}], [{f"{up}params.yaml": None}],
        [{f"{up}c.json": ["n.k"]}, {f"{up}c.json": ["z"]}], [{f"{up}c.json": []}, "lr"],
    ]  # fmt: skip
    return draw(st.sampled_from([[], [], *choices]))


@st.composite
def properties(draw: st.DrawFn, key: str, singles: list[str]) -> dict[str, Any]:
    """Draw what stands beside the path of an output."""
    found: dict[str, Any] = draw(
        st.sampled_from([{}, {}, {"cache": False}, {"persist": True}, {"push": False},
                         {"desc": "for ${name}", "labels": ["l"], "meta": {"k": "${lr}"}}])
    )  # fmt: skip
    if key == "plots" and draw(st.booleans()):
        found = {**found, "x": "step", "title": f"of {draw(st.sampled_from(singles))}"}
    return dict(found)


@st.composite
def one_file(draw: st.DrawFn, first: int) -> dict[str, str]:
    """Draw a `dvc.yaml` and the files it needs, all in one folder."""
    scene = draw(scenes())
    written: dict[str, Any] = {"vars": scene.listed} if scene.listed else {}
    before: list[str] = []
    found: dict[str, Any] = {}
    for number in range(first, first + draw(st.integers(1, 3))):
        found[f"s{number}"], made = draw(stages(number, scene, before))
        before += made
    written["stages"] = {name: found[name] for name in draw(st.permutations(list(found)))}
    written |= draw(beside())
    return {
        **scene.files,
        "c.json": '{"n": {"k": [1, 2]}, "z": null}',
        "in.txt": f"{first}\n",
        "w/params.yaml": scene.files["params.yaml"],
        "w/in.txt": "in w\n",
        "dvc.yaml": dump(written),
    }


@st.composite
def beside(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what stands beside the stages."""
    found = {
        "params": ["c.json"],
        "metrics": ["m-${name}.json"],
        "plots": ["p.csv", {"loss of ${name}": {"x": "step", "y": {"p.csv": ["a", "${name}"]}}}],
        "artifacts": {"a-${lr}": {"path": "in.txt", "type": "${name}", "meta": "${models}"}},
    }
    chosen = draw(st.lists(st.sampled_from(list(found)), unique=True, max_size=2))
    return {key: found[key] for key in chosen}


@st.composite
def files(draw: st.DrawFn) -> dict[str, str]:
    """Draw a project: the texts of its files by path."""
    found = draw(one_file(0))
    if draw(st.integers(0, 3)) == 0:
        found |= {f"sub/{path}": text for path, text in draw(one_file(50)).items()}
    return found
