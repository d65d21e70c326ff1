"""Pipelines that are drawn: real DVC and we, on the same repositories, each after the other."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import make, stages
from tests.peers import alike, pipelines
from tests.peers.dvc_asked import Session
from tests.stages import dvc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not stages.DVC.exists(), reason="no real DVC; 'make peers' installs it"),
]


@pytest.fixture(scope="module", autouse=True)
def _settled_shell() -> Iterator[None]:
    """Both tools run commands in $SHELL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELL", "/bin/sh")
        yield


@pytest.fixture(scope="module")
def theirs_going_on() -> Iterator[Session]:
    """Real DVC, started once."""
    with Session() as session:
        yield session


@pytest.mark.parametrize(
    "n_files", [6, pytest.param(60, marks=pytest.mark.slow, id="sixty")], ids=str
)
def test_drawn_pipelines_get_the_graph_the_status_and_the_locks_of_dvc(
    theirs_going_on: Session, n_files: int
):
    @settings(
        max_examples=n_files,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.reuse, Phase.generate),  # to find the smallest takes minutes
    )
    @given(files=pipelines.files(), seed=st.integers(0, 2**32))
    def agree(files: dict[str, str], seed: int) -> None:
        with tempfile.TemporaryDirectory(dir=make.memory()) as place:
            _compare_in_turn(theirs_going_on, Path(place).resolve(), files, random.Random(seed))

    agree()


def _compare_in_turn(
    session: Session, place: Path, files: Mapping[str, str], draw: random.Random
) -> None:
    """Let each tool run what the other one ran before, with a change in between."""
    one, two = place / "one", place / "two"
    files = {name: _runnable(text) for name, text in files.items()}
    for folder in (one, two):
        make.write(folder, {".dvc/config": "[core]\nno_scm = true\n", **files})
    answer = session.run(one, "status", "--json")
    assert answer.code == 0, answer
    assert alike.status(one) == json.loads(answer.out)
    make.done(one, "repro", "-P", "-j", draw.choice("13"))
    session.done(two, "repro", "-P")
    alike.assert_alike(one, two)
    assert alike.status(two) == json.loads(session.done(one, "status", "--json"))
    kind, number = draw.choice(["input", "param", "output", "lost", "edited"]), draw.random()
    for folder in (one, two):
        _change(folder, kind, number)
    assert alike.status(one) == json.loads(session.done(two, "status", "--json")), kind
    session.done(one, "repro", "-P")
    make.done(two, "repro", "-P", "-j", draw.choice("13"))
    alike.assert_alike(two, one)
    assert alike.status(two) == json.loads(session.done(two, "status", "--json"))
    ours, theirs = make.done(one, "dag", "--dot"), session.done(one, "dag", "--dot")
    assert ours.rstrip("\n") == theirs.rstrip("\n")


def _runnable(text: str) -> str:
    """Take out what resolves and does not run: an odd quote, keys that DVC cannot sort."""
    for old, new in (("it's", "its"), ("3: has no name", "three: 3"), ("deep.3", "deep.three")):
        text = text.replace(old, new)
    return text


def _change(folder: Path, kind: str, number: float) -> None:
    """Change one thing of a project: an input, a parameter, or what a stage made."""
    if kind == "input":
        make.write(folder, {"in.txt": "changed\n"})
        return
    if kind == "param":
        text = (folder / "params.yaml").read_text()
        make.write(folder, {"params.yaml": re.sub(r"(?m)^lr: .*$", "lr: 77", text)})
        return
    made = sorted({*folder.rglob("o*.txt")} - {*folder.glob(".*/**/*")})
    if not made:
        return
    path = made[int(number * len(made))]
    if kind == "lost":
        oid = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        (folder / ".dvc/cache/files/md5" / oid[:2] / oid[2:]).unlink(missing_ok=True)
    path.unlink()
    if kind == "edited":
        path.write_text("not from the stage\n")


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
)
def test_generated_pipelines_get_the_locks_and_the_status_of_dvc(tmp_path: Path, seed: int):
    draw = random.Random(seed)
    files: dict[str, str] = {}
    for number in range(8):
        files |= {f"p{number}/{name}": text for name, text in _generated(draw).items()}
    inputs = tuple(sorted(name for name in files if name.endswith("in.txt")))
    ours, theirs = alike.pair(tmp_path, files, inputs)
    make.done(ours, "repro")
    dvc(theirs, "repro", "-P")
    alike.assert_alike(ours, theirs)
    state = draw.getstate()
    for folder in (ours, theirs):
        draw.setstate(state)
        for number in range(8):
            _disturb(draw, folder / f"p{number}")
    assert alike.status(ours) == alike.their_status(theirs)
    dvc(ours, "repro", "-P")
    make.done(theirs, "repro")
    alike.assert_alike(ours, theirs)


def _generated(draw: random.Random) -> dict[str, str]:
    """Return a small pipeline: what each stage reads, makes and is called is drawn."""
    there = ["in.txt"]
    found = {}
    for number in range(draw.randint(2, 4)):
        name = f"{draw.choice('abc')}{number}"
        deps = draw.sample(there, draw.randint(0, min(3, len(there))))
        stage, made = _stage(draw, name, deps)
        found[name] = stage
        there += made
    names = draw.sample(list(found), len(found))
    text = yaml.safe_dump({"stages": {name: found[name] for name in names}}, sort_keys=False)
    values = {"a": draw.choice([1, 0.5, "x", True, None]), "b": {"c": draw.choice([[1, 2], "y"])}}
    return {
        "in.txt": f"{draw.random()}\n",
        "params.yaml": yaml.safe_dump(values),
        "w/.keep": "",
        "w/params.yaml": "a: 3\nb: {c: [{d: 1}]}\n",
        "dvc.yaml": text,
    }


def _stage(draw: random.Random, name: str, deps: list[str]) -> tuple[dict[str, Any], list[str]]:
    wdir = draw.choice([None, None, "w"])
    up = "../" if wdir else ""
    stage: dict[str, Any] = {"cmd": ""}
    if wdir:
        stage["wdir"] = wdir
    if deps:
        stage["deps"] = [up + dep for dep in deps]
    if draw.random() < 0.6:
        stage["params"] = draw.choice([["a"], ["b.c"], ["b", "a"], [{f"{up}params.yaml": None}]])
    sources = " ".join(stage.get("deps", ["/dev/null"]))
    lines, made = [f"find {sources} -type f | sort | xargs cat > {up}{name}.tmp"], []
    for number in range(draw.randint(1, 2)):
        out = f"{name}-{number}"
        kind = draw.choice(["file", "file", "folder", "program", "metric", "plot"])
        flags = draw.choice([{}, {}, {"cache": False}, {"persist": True}, {"push": False}])
        if kind == "folder":
            lines.append(f"mkdir -p {up}{out}/s && cp {up}{name}.tmp {up}{out}/s/1")
            lines.append(f"echo {name} > {up}{out}/2")
        elif kind == "metric":
            lines.append(f"echo '{{\"n\": {number}}}' > {up}{out}")
        else:
            lines.append(f"cp {up}{name}.tmp {up}{out}")
        if kind == "program":
            lines.append(f"chmod +x {up}{out}")
        key = {"metric": "metrics", "plot": "plots"}.get(kind, "outs")
        stage.setdefault(key, []).append({up + out: flags} if flags else up + out)
        made.append(out)
        if kind == "folder":
            made.append(f"{out}/s")
    stage["cmd"] = draw.choice([" && ".join(lines), lines, "\n".join(lines) + "\n"])
    return stage, made


def _disturb(draw: random.Random, folder: Path) -> None:
    """Change one thing of a pipeline."""
    text = (folder / "dvc.yaml").read_text()
    document = yaml.safe_load(text)
    kind = draw.choice(["input", "param", "command", "output", "lost"])
    name = draw.choice(sorted(document["stages"]))
    if kind == "input":
        make.write(folder, {"in.txt": "changed\n"})
    elif kind == "param":
        make.write(folder, {"params.yaml": "a: changed\nb: {c: []}\n"})
    elif kind == "command":
        stage = document["stages"][name]
        cmd = stage["cmd"]
        stage["cmd"] = [*cmd, "true"] if isinstance(cmd, list) else f"true; {cmd}"
        make.write(folder, {"dvc.yaml": yaml.safe_dump(document, sort_keys=False)})
    else:
        locked = yaml.safe_load((folder / "dvc.lock").read_text())["stages"][name]["outs"]
        row = draw.choice(locked)
        path = folder / document["stages"][name].get("wdir", ".") / row["path"]
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        if kind == "lost":
            stored = folder.parent / ".dvc/cache/files/md5" / row["md5"][:2] / row["md5"][2:]
            stored.unlink(missing_ok=True)
