"""Pipelines: real DVC and ours on the same repository, in turn and beside each other."""

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
from tests.peers import pipelines
from tests.peers.dvc_asked import Session
from tests.stages import dvc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not stages.DVC.exists(), reason="no real DVC; 'make peers' installs it"),
]

ALL_THERE_IS = {
    "data/x.csv": "a,b\n1,2\n3,4\n",
    "w/params.yaml": "lr: 7\n",
    "params.yaml": """\
lr: 0.1
name: "12"
on: yes
nested: {a: 1, b: [1, 2, {c: null}], e: 1e-4}
layers: [8, 4]
big: 12345678901234567890
f: 1.0
g: 1.50
text: "a: b # c"
classes: {0: cat, 10: dog, 2: bird}
""",
    "c.json": '{"j": {"k": [1, 2]}, "t": true, "z": null, "x": "ü"}',
    "c.toml": 'title = "x"\n[opt]\nlr = 0.5\nm = [1, 2]\n',
    "p.py": """\
SEED = 3
T = (1, 2)
D = {"a": 1, "b": {"c": 2.5}}
class Cfg:
    LR: float = 0.25
    N = -5
X = len(T)
""",
    "dvc.yaml": r"""
stages:
  prep:
    cmd: cp data/x.csv p.csv
    deps: [data/x.csv]
    outs: [p.csv]
  lines:
    cmd: |
      cat p.csv > l1.txt
      cat p.csv p.csv > l2.txt
    deps: [p.csv, data]
    outs: [l2.txt, l1.txt]
  items:
    cmd:
    - echo "a" > a.txt
    - "echo 'x # y' >> a.txt"
    deps: [./p.csv]
    outs:
    - a.txt: {cache: false}
  elsewhere:
    wdir: w
    cmd: cp ../p.csv o.csv
    deps: [../p.csv]
    params: [lr]
    outs: [o.csv]
  parameters:
    cmd: echo done > d.txt
    deps: [p.csv]
    params:
    - lr
    - nested.a
    - nested
    - layers.0
    - name
    - on
    - big
    - f
    - g
    - text
    - classes
    - c.json:
    - c.toml: [opt.lr, opt.m, title]
    - p.py: [SEED, T, Cfg.LR, D, D.b, Cfg]
    outs: [d.txt]
  whole-files:
    cmd: echo whole > w.txt
    params: [{params.yaml: }, {c.toml: }, {p.py: }]
    outs: [w.txt]
  settings:
    cmd: "echo 'depth: 3' > made.yaml"
    deps: [p.csv]
    outs: [made.yaml]
  reads-settings:
    cmd: cp made.yaml made.txt
    params: [{made.yaml: [depth]}]
    outs: [made.txt]
  folder:
    cmd: mkdir -p od/s && cp p.csv od/s/1 && echo 2 > od/2 && chmod +x od/2
    deps: [p.csv]
    outs: [od/]
  empty-folder:
    cmd: mkdir -p ed
    deps: [p.csv]
    outs: [ed]
  program:
    cmd: cp p.csv tool.sh && chmod +x tool.sh
    deps: [p.csv]
    outs: [tool.sh]
  reports:
    cmd: >-
      cat od/2 od/s/1 > ud.txt && echo '{"acc":0.5,"m":{"n":1}}' > m.json
      && printf 'x,y\n1,2\n' > pl.csv && printf 'x,y\n1,2\n' > kept.csv
    deps: [od, od/2]
    outs:
    - ud.txt: {push: false, desc: hello}
    metrics:
    - m.json: {cache: false}
    plots:
    - pl.csv: {x: x, y: y}
    - kept.csv: {cache: false}
  appends:
    cmd: echo line >> pers.txt
    deps: [p.csv]
    outs:
    - pers.txt: {persist: true}
  always:
    cmd: echo 1 > always.txt
    outs: [always.txt]
    always_changed: true
  no-deps:
    cmd: echo 1 > nd.txt
    outs: [nd.txt]
  no-outs:
    cmd: cat p.csv
    deps: [p.csv]
  callback:
    cmd: echo callback
  long:
    cmd: >-
      echo aaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
      cccccccccccccccccccccccc > long.txt
    deps: [p.csv]
    outs: [long.txt]
""",
}


@pytest.fixture(scope="module", autouse=True)
def _settled_shell() -> Iterator[None]:
    """Both tools run commands in $SHELL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELL", "/bin/sh")
        yield


def _pair(folder: Path, files: Mapping[str, str], tracked: tuple[str, ...]) -> tuple[Path, Path]:
    """Make one project twice: the first is for us, the second for DVC."""
    ours = make.write(make.project(folder / "ours"), files)
    for path in tracked:
        make.done(ours, "add", path)
    make.commit(ours)
    theirs = folder / "theirs"
    shutil.copytree(ours, theirs, symlinks=True)
    return ours, theirs


def _status(folder: Path, *targets: str) -> Any:
    return json.loads(make.done(folder, "status", "--json", *targets))


def _their_status(folder: Path, *targets: str) -> Any:
    return json.loads(dvc(folder, "status", "--json", *targets))


def _cache(folder: Path) -> dict[str, bytes]:
    """Return all objects and all entries of the run cache."""
    cache = folder / ".dvc" / "cache"
    return {str(p.relative_to(cache)): p.read_bytes() for p in cache.rglob("*") if p.is_file()}


def _lock(folder: Path) -> str:
    return (folder / "dvc.lock").read_text()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All that the grammar has, run by us and by DVC; not to be changed."""
    ours, theirs = _pair(tmp_path_factory.mktemp("both"), ALL_THERE_IS, ("data/x.csv",))
    assert _status(ours) == _their_status(theirs)
    make.done(ours, "repro")
    dvc(theirs, "repro")
    return ours, theirs


@pytest.fixture
def copies(both: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """The same to be changed."""
    for folder in both:
        shutil.copytree(folder, tmp_path / folder.name, symlinks=True)
    return tmp_path / "ours", tmp_path / "theirs"


def test_a_first_repro_leaves_the_lock_objects_and_run_cache_of_dvc(both: tuple[Path, Path]):
    ours, theirs = both
    assert _lock(ours) == _lock(theirs)
    assert _cache(ours) == _cache(theirs)
    assert any(name.startswith("runs/") for name in _cache(ours))
    ignored = [sorted((f / ".gitignore").read_text().split()) for f in both]
    assert ignored[0] == ignored[1]


def test_status_and_graph_of_what_ran_are_those_of_dvc(both: tuple[Path, Path]):
    ours, theirs = both
    assert _status(theirs) == _status(ours) == _their_status(ours)
    assert make.done(theirs, "dag", "--mermaid") == dvc(ours, "dag", "--mermaid")
    assert make.done(theirs, "dag", "--md", "reports") == dvc(ours, "dag", "--md", "reports")


def test_after_changes_of_every_kind_status_is_that_of_dvc_and_each_goes_on_with_the_others_work(
    copies: tuple[Path, Path],
):
    ours, theirs = copies
    for folder in copies:
        text = (folder / "dvc.yaml").read_text()
        text = text.replace("cp made.yaml made.txt", "cat made.yaml > made.txt")
        text = text.replace("  long:\n", "  long:\n    frozen: true\n")
        text = text.replace("deps: [od, od/2]", "deps: [od, od/s/1]")
        params = (folder / "params.yaml").read_text().replace("lr: 0.1", "lr: 0.3")
        params = params.replace("g: 1.50\n", "").replace("f: 1.0", "f: 1")
        make.write(
            folder,
            {
                "dvc.yaml": text,
                "params.yaml": params + "extra: [1]\n",
                "c.toml": 'title = "y"\n[opt]\nlr = 0.5\nm = [1, 2]\n',
                "od/new": "not from the stage\n",
                "w/params.yaml": "",
            },
        )
        (folder / "nd.txt").unlink()
        oid = stages.out_oid(folder, "tool.sh")
        (folder / ".dvc/cache/files/md5" / oid[:2] / oid[2:]).unlink()
    changed = _their_status(theirs)
    assert _status(ours) == changed
    assert {"whole-files", "parameters", "no-deps", "program", "folder"} <= set(changed)
    below = [json.loads(make.done(ours / "w", "status", "--json"))]
    below.append(json.loads(dvc(theirs / "w", "status", "--json")))
    assert below[0] == below[1]
    for folder in copies:
        make.write(folder, {"params.yaml": params + "g: 2\n", "w/params.yaml": "lr: 8\n"})
    dvc(ours, "repro")
    make.done(theirs, "repro")
    assert _lock(ours) == _lock(theirs)
    assert _cache(ours) == _cache(theirs)
    assert _status(theirs) == _their_status(ours) == {"always": ["always changed"],
                                                      "callback": ["always changed"]}  # fmt: skip


COUNTED = {
    "data.csv": "1\n2\n",
    "params.yaml": "k: 1\n",
    "dvc.yaml": """
stages:
  first:
    cmd: echo first >> SIDE; sort -r data.csv > sorted.txt; cat params.yaml >> sorted.txt
    deps: [data.csv]
    params: [k]
    outs: [sorted.txt]
  second:
    cmd: echo second >> SIDE; mkdir -p d; cp sorted.txt d/1; echo '{"n":1}' > m.json
    deps: [sorted.txt]
    outs: [d]
    metrics: [{m.json: {cache: false}}]
""",
}


def _counted(tmp_path: Path) -> tuple[Path, Path]:
    """Make a project whose stages leave a line in a file each time that they start."""
    side = tmp_path / "starts"
    files = {name: text.replace("SIDE", str(side)) for name, text in COUNTED.items()}
    folder = make.write(make.project(tmp_path / "one"), files)
    make.done(folder, "add", "data.csv")
    make.commit(folder)
    return folder, side


@pytest.mark.parametrize("first", ["assay", "dvc"])
def test_what_one_ran_before_the_other_takes_from_the_run_cache(tmp_path: Path, first: str):
    folder, side = _counted(tmp_path)
    tools = {"assay": lambda: make.done(folder, "repro"), "dvc": lambda: dvc(folder, "repro")}
    second = {"assay": "dvc", "dvc": "assay"}[first]
    tools[first]()
    before = _lock(folder)
    make.write(folder, {"params.yaml": "k: 2\n"})
    tools[first]()
    make.write(folder, {"params.yaml": "k: 1\n"})
    (folder / "m.json").unlink()
    tools[second]()
    assert stages.starts(side) == ["first", "second"] * 2
    assert _lock(folder) == before
    assert (folder / "m.json").read_text() == '{"n":1}\n'
    assert _status(folder) == {}


def test_outputs_pushed_by_one_are_pulled_and_checked_out_by_the_other(tmp_path: Path):
    folder, side = _counted(tmp_path)
    make.done(folder, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.done(folder, "repro")
    make.done(folder, "push")
    make.commit(folder)
    make.git(tmp_path, "clone", "-q", "one", "two")
    dvc(tmp_path / "two", "pull")
    assert (tmp_path / "two" / "d" / "1").read_text() == "2\n1\nk: 1\n"
    make.write(tmp_path / "two", {"params.yaml": "k: 5\n"})
    dvc(tmp_path / "two", "repro")
    dvc(tmp_path / "two", "push")
    make.commit(tmp_path / "two")
    make.git(folder, "pull", "-q", str(tmp_path / "two"), "main")
    make.done(folder, "pull")
    assert (folder / "d" / "1").read_text() == "2\n1\nk: 5\n"
    shutil.rmtree(folder / "d")
    make.done(folder, "checkout")
    assert _status(folder) == {}
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"
    assert stages.starts(side) == ["first", "second"] * 2


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
)
def test_generated_pipelines_get_the_locks_and_the_status_of_dvc(tmp_path: Path, seed: int):
    draw = random.Random(seed)
    files: dict[str, str] = {}
    for number in range(8):
        files |= {f"p{number}/{name}": text for name, text in _generated(draw).items()}
    inputs = tuple(sorted(name for name in files if name.endswith("in.txt")))
    ours, theirs = _pair(tmp_path, files, inputs)
    make.done(ours, "repro")
    dvc(theirs, "repro", "-P")
    _assert_alike(ours, theirs)
    state = draw.getstate()
    for folder in (ours, theirs):
        draw.setstate(state)
        for number in range(8):
            _disturb(draw, folder / f"p{number}")
    assert _status(ours) == _their_status(theirs)
    dvc(ours, "repro", "-P")
    make.done(theirs, "repro")
    _assert_alike(ours, theirs)


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
    def alike(files: dict[str, str], seed: int) -> None:
        with tempfile.TemporaryDirectory(dir=make.memory()) as place:
            _compare_in_turn(theirs_going_on, Path(place).resolve(), files, random.Random(seed))

    alike()


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
    assert _status(one) == json.loads(answer.out)
    _repro_all(one)
    session.done(two, "repro", "-P")
    _assert_alike(one, two)
    assert _status(two) == json.loads(session.done(one, "status", "--json"))
    kind, number = draw.choice(["input", "param", "output", "lost", "edited"]), draw.random()
    for folder in (one, two):
        _change(folder, kind, number)
    assert _status(one) == json.loads(session.done(two, "status", "--json")), kind
    session.done(one, "repro", "-P")
    _repro_all(two)
    _assert_alike(two, one)
    assert _status(two) == json.loads(session.done(two, "status", "--json"))
    ours, theirs = make.done(one, "dag", "--dot"), session.done(one, "dag", "--dot")
    assert ours.rstrip("\n") == theirs.rstrip("\n")


def _runnable(text: str) -> str:
    """Take out what resolves and does not run: an odd quote, keys that DVC cannot sort."""
    for old, new in (("it's", "its"), ("3: has no name", "three: 3"), ("deep.3", "deep.three")):
        text = text.replace(old, new)
    return text


def _repro_all(folder: Path) -> None:
    from assay.pipeline.repro import Events
    from assay.project import workspace
    from assay.workflows import pipeline

    said: list[str] = []
    events = Events(said.append, lambda _: None)
    pipeline.repro(workspace.find(folder), [], cwd=folder, events=events, all_pipelines=True)


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


def _assert_alike(ours: Path, theirs: Path) -> None:
    for path in sorted(theirs.rglob("dvc.lock")):
        assert (ours / path.relative_to(theirs)).read_text() == path.read_text(), path.parent.name
    assert _cache(ours) == _cache(theirs)
    assert _status(ours) == _status(theirs)


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
