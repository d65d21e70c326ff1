"""Pipelines: real DVC and ours on the same repository, in turn and beside each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make, stages
from tests.peers import alike
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


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All that the grammar has, run by us and by DVC; not to be changed."""
    ours, theirs = alike.pair(tmp_path_factory.mktemp("both"), ALL_THERE_IS, ("data/x.csv",))
    assert alike.status(ours) == alike.their_status(theirs)
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
    assert alike.lock(ours) == alike.lock(theirs)
    assert alike.cache(ours) == alike.cache(theirs)
    assert any(name.startswith("runs/") for name in alike.cache(ours))
    ignored = [sorted((f / ".gitignore").read_text().split()) for f in both]
    assert ignored[0] == ignored[1]


def test_status_and_graph_of_what_ran_are_those_of_dvc(both: tuple[Path, Path]):
    ours, theirs = both
    assert alike.status(theirs) == alike.status(ours) == alike.their_status(ours)
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
    changed = alike.their_status(theirs)
    assert alike.status(ours) == changed
    assert {"whole-files", "parameters", "no-deps", "program", "folder"} <= set(changed)
    below = [json.loads(make.done(ours / "w", "status", "--json"))]
    below.append(json.loads(dvc(theirs / "w", "status", "--json")))
    assert below[0] == below[1]
    for folder in copies:
        make.write(folder, {"params.yaml": params + "g: 2\n", "w/params.yaml": "lr: 8\n"})
    dvc(ours, "repro")
    make.done(theirs, "repro")
    assert alike.lock(ours) == alike.lock(theirs)
    assert alike.cache(ours) == alike.cache(theirs)
    assert alike.status(theirs) == alike.their_status(ours) == {"always": ["always changed"],
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
    before = alike.lock(folder)
    make.write(folder, {"params.yaml": "k: 2\n"})
    tools[first]()
    make.write(folder, {"params.yaml": "k: 1\n"})
    (folder / "m.json").unlink()
    tools[second]()
    assert stages.starts(side) == ["first", "second"] * 2
    assert alike.lock(folder) == before
    assert (folder / "m.json").read_text() == '{"n":1}\n'
    assert alike.status(folder) == {}


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
    assert alike.status(folder) == {}
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"
    assert stages.starts(side) == ["first", "second"] * 2
