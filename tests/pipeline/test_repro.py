"""What runs, what is restored, what is left alone; flags of stages and outputs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import make, stages

LR = {"params.yaml": "lr: 0.2\nseed: 7\n"}


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, Path]:
    """Three stages that ran once; the file of their starts is empty again."""
    folder, side = stages.three_ran(tmp_path)
    make.commit(folder)
    return folder, side


def states(folder: Path, *arguments: str) -> dict[str, str]:
    document: dict[str, Any] = json.loads(make.done(folder, "repro", "--json", *arguments))
    return {one["stage"]: one["state"] for one in document["stages"]}


def test_only_what_a_change_reaches_runs(three: tuple[Path, Path]):
    folder, side = three
    make.write(folder, LR)
    assert states(folder) == {
        "data.csv.dvc": "unchanged", "prep": "unchanged", "train": "ran", "evaluate": "ran",
    }  # fmt: skip
    assert stages.starts(side) == ["train", "evaluate"]


def test_a_stage_whose_inputs_came_out_the_same_does_not_run(three: tuple[Path, Path]):
    folder, side = three
    make.write(folder, {"data.csv": "a,1\nb,2\n"})  # sorted, it is the same
    make.done(folder, "add", "data.csv")
    assert states(folder)["train"] == "unchanged"
    assert stages.starts(side) == ["prep"]


def test_going_back_runs_nothing(three: tuple[Path, Path]):
    folder, side = three
    before, model = stages.lock(folder), (folder / "model.txt").read_bytes()
    make.write(folder, LR)
    make.done(folder, "repro")
    side.unlink()
    make.write(folder, {"params.yaml": "lr: 0.1\nseed: 7\n"})
    assert states(folder) == {
        "data.csv.dvc": "unchanged", "prep": "unchanged",
        "train": "restored", "evaluate": "restored",
    }  # fmt: skip
    assert stages.starts(side) == []
    assert stages.lock(folder) == before
    assert (folder / "model.txt").read_bytes() == model
    assert (folder / "metrics.json").read_text() == f'{{"size": {len(model)}}}\n'


def test_deleted_outputs_come_back_without_a_run(three: tuple[Path, Path]):
    folder, side = three
    before = make.snapshot(folder)
    for name in ("clean.csv", "model.txt", "metrics.json"):
        (folder / name).unlink()
    assert set(states(folder).values()) == {"unchanged", "restored"}
    assert stages.starts(side) == []
    assert make.snapshot(folder) == before


def test_without_the_run_cache_a_command_runs_again(three: tuple[Path, Path]):
    folder, side = three
    (folder / "model.txt").unlink()
    assert states(folder, "--no-run-cache")["train"] == "ran"
    assert stages.starts(side) == ["train"]


def test_a_target_brings_what_it_needs_and_nothing_below_it(three: tuple[Path, Path]):
    folder, side = three
    make.write(folder, {"data.csv": "c,3\n"})
    make.done(folder, "add", "data.csv")
    assert list(states(folder, "train")) == ["data.csv.dvc", "prep", "train"]
    assert stages.starts(side) == ["prep", "train"]


@pytest.mark.parametrize("target", ["model.txt", "dvc.yaml:train", "train"])
def test_a_target_is_a_stage_or_its_output(three: tuple[Path, Path], target: str):
    folder, side = three
    make.write(folder, LR)
    make.done(folder, "repro", target)
    assert stages.starts(side) == ["train"]


def test_a_single_target_runs_without_what_it_needs(three: tuple[Path, Path]):
    folder, side = three
    make.write(folder, {"data.csv": "c,3\n", **LR})
    assert list(states(folder, "-s", "train")) == ["train"]
    assert stages.starts(side) == ["train"]


def test_force_runs_all_of_the_plan(three: tuple[Path, Path]):
    folder, side = three
    before = stages.lock(folder)
    make.done(folder, "repro", "-f", "train")
    assert stages.starts(side) == ["prep", "train"]
    make.done(folder, "repro", "-f", "-s", "evaluate")
    assert stages.starts(side) == ["prep", "train", "evaluate"]
    assert stages.lock(folder) == before


def test_edited_data_is_recorded_and_used(three: tuple[Path, Path]):
    folder, side = three
    make.write(folder, {"data.csv": "z,9\n"})
    assert states(folder)["data.csv.dvc"] == "committed"
    assert stages.starts(side) == ["prep", "train", "evaluate"]
    assert json.loads(make.done(folder, "status", "--json")) == {}


def test_data_that_is_missing_is_checked_out_first(three: tuple[Path, Path]):
    folder, side = three
    (folder / "data.csv").unlink()
    make.done(folder, "repro")
    assert (folder / "data.csv").read_text() == "b,2\na,1\n"
    assert stages.starts(side) == []


def dry(folder: Path, *arguments: str) -> dict[str, str]:
    before = make.snapshot(folder, without=(".git",))
    found = states(folder, "--dry", *arguments)
    after = make.snapshot(folder, without=(".git",))
    for both in (before, after):  # what was hashed is remembered; that is no change
        for name in [name for name in both if name.startswith(".assay/index.db")]:
            del both[name]
    assert after == before
    return found


def test_dry_says_what_would_run_and_changes_nothing(three: tuple[Path, Path]):
    folder, side = three
    make.write(folder, LR)
    assert dry(folder) == {
        "data.csv.dvc": "unchanged", "prep": "unchanged",
        "train": "would run", "evaluate": "would run",
    }  # fmt: skip
    text = make.done(folder, "repro", "--dry")
    assert "train         would run: params.yaml:lr is modified\n" in text
    assert "evaluate      would run: 'train' comes before it\n" in text
    assert stages.starts(side) == []


def test_dry_sees_through_what_would_be_restored(three: tuple[Path, Path]):
    folder, _ = three
    make.write(folder, LR)
    make.done(folder, "repro")
    make.write(folder, {"params.yaml": "lr: 0.1\nseed: 7\n"})
    planned = dry(folder)
    assert planned == {
        "data.csv.dvc": "unchanged", "prep": "unchanged",
        "train": "would be restored", "evaluate": "would be restored",
    }  # fmt: skip
    assert dry(folder, "--no-run-cache")["train"] == "would run"
    assert set(dry(folder, "--force").values()) == {"unchanged", "would run"}
    assert states(folder) == {
        stage: state.replace("would be ", "") for stage, state in planned.items()
    }


def test_dry_tells_data_that_comes_back_from_data_that_is_recorded(three: tuple[Path, Path]):
    folder, _ = three
    (folder / "data.csv").unlink()
    assert dry(folder) == {
        "data.csv.dvc": "would be restored", "prep": "unchanged",
        "train": "unchanged", "evaluate": "unchanged",
    }  # fmt: skip
    make.write(folder, {"data.csv": "new,1\n"})
    found = dry(folder)
    assert found["data.csv.dvc"] == "would be committed"
    assert found["prep"] == "would run"


FLAGS = """
stages:
  appends:
    cmd: echo line >> log.txt
    params: [k]
    outs:
    - log.txt: {persist: true}
  always:
    cmd: echo always >> SIDE; echo 1 > always.txt
    outs: [always.txt]
    always_changed: true
  callback:
    cmd: echo callback >> SIDE
  frozen:
    cmd: echo frozen >> SIDE; cp params.yaml frozen.txt
    params: [k]
    outs: [frozen.txt]
    frozen: false
  plain:
    cmd: echo plain >> SIDE; sed s/k/p/ params.yaml > plain.txt
    params: [k]
    outs:
    - plain.txt: {cache: false}
"""


@pytest.fixture(scope="module")
def flags_ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = FLAGS.replace("SIDE", "$(dirname $ASSAY_LEDGER)/../../starts")
    folder = tmp_path_factory.mktemp("flags") / "project"
    stages.pipeline(folder, text, {"params.yaml": "k: 1\n"})
    make.done(folder, "repro")
    return folder


@pytest.fixture
def flags(flags_ran: Path, tmp_path: Path) -> tuple[Path, Path]:
    folder = shutil.copytree(flags_ran, tmp_path / "project", symlinks=True)
    return folder, tmp_path / "starts"


def test_an_output_that_persists_is_there_for_the_next_run(flags: tuple[Path, Path]):
    folder, _ = flags
    make.write(folder, {"params.yaml": "k: 2\n"})
    make.done(folder, "repro", "appends")
    assert (folder / "log.txt").read_text() == "line\n" * 2


def test_a_persisting_output_that_is_a_link_does_not_change_the_cache(flags: tuple[Path, Path]):
    folder, _ = flags
    make.done(folder, "config", "cache.type", "hardlink")
    (folder / "log.txt").unlink()
    make.done(folder, "checkout", "log.txt")
    assert (folder / "log.txt").stat().st_nlink == 2
    oid = stages.out_oid(folder, "log.txt")
    make.done(folder, "repro", "-f", "appends")
    assert (folder / "log.txt").read_text() == "line\n" * 2
    assert stages.object_of(folder, oid).read_text() == "line\n"


def test_stages_that_always_run_run_always_and_dry_says_so(flags: tuple[Path, Path]):
    folder, side = flags
    assert [stage for stage, state in dry(folder).items() if state == "would run"] == [
        "always", "callback",
    ]  # fmt: skip
    for _ in range(2):
        make.done(folder, "repro")
    assert stages.starts(side) == ["always", "callback"] * 2


def test_a_frozen_stage_never_runs_by_itself(flags: tuple[Path, Path]):
    folder, side = flags
    text = (folder / "dvc.yaml").read_text()
    make.write(folder, {
        "dvc.yaml": text.replace("frozen: false", "frozen: true"), "params.yaml": "k: 2\n",
    })  # fmt: skip
    lock = stages.lock(folder)
    assert dry(folder, "frozen") == states(folder, "frozen") == {"frozen": "frozen"}
    (folder / "frozen.txt").unlink()
    assert dry(folder, "frozen") == {"frozen": "would be restored"}
    assert states(folder, "frozen") == {"frozen": "restored"}
    assert (folder / "frozen.txt").read_text() == "k: 1\n"
    assert stages.lock(folder) == lock
    assert stages.starts(side) == []
    make.write(folder, {"dvc.yaml": text.replace("frozen: false", "frozen: true\n    desc: x")})
    stages.object_of(folder, stages.out_oid(folder, "frozen.txt")).unlink()
    shown = make.assay(folder, "repro", "frozen")
    assert shown.code == 255
    assert "the frozen stage 'frozen' does not match its record" in shown.err
    assert make.assay(folder, "repro", "--dry", "frozen") == shown


@pytest.fixture
def frozen(flags: tuple[Path, Path]) -> tuple[Path, str]:
    """The same project, one of its stages frozen."""
    folder, _ = flags
    text = (folder / "dvc.yaml").read_text().replace("frozen: false", "frozen: true")
    text += "  after: {cmd: cat frozen.txt > after.txt, deps: [frozen.txt], outs: [after.txt]}\n"
    make.write(folder, {"dvc.yaml": text})
    return folder, text


def test_that_a_stage_is_frozen_is_said(frozen: tuple[Path, str]):
    folder, _ = frozen
    said = make.done(folder, "repro", "frozen")
    assert "  warning: stage 'frozen' is frozen: it does not run, whatever it depends on; " in said
    assert "up to date, but for what is frozen: frozen." in said
    shown = make.assay(folder, "status", "frozen")
    assert "stage 'frozen' is frozen" in shown.err


def test_a_frozen_stage_with_another_command_or_an_edited_output_stops_nothing(
    frozen: tuple[Path, str],
):
    folder, text = frozen
    make.write(folder, {"dvc.yaml": text.replace("cp params.yaml", "cat params.yaml >")})
    assert dry(folder, "frozen") == states(folder, "frozen") == {"frozen": "frozen"}
    make.write(folder, {"frozen.txt": "mine\n"})
    lock = stages.locked(folder)["frozen"]
    assert dry(folder, "after") == {"frozen": "frozen", "after": "would run"}
    said = make.done(folder, "repro", "after")
    assert "(its command changed; output frozen.txt is modified)" in said
    assert (folder / "frozen.txt").read_text() == (folder / "after.txt").read_text() == "mine\n"
    assert stages.locked(folder)["frozen"] == lock
    assert states(folder, "after") == {"frozen": "frozen", "after": "unchanged"}


def test_a_frozen_stage_that_never_ran_is_taken_as_it_is_or_said_to_lack_outputs(tmp_path: Path):
    text = "stages: {a: {cmd: echo 1 > a.txt, outs: [a.txt], frozen: true}}\n"
    folder = stages.pipeline(tmp_path / "project", text)
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert "the frozen stage 'a' has not run yet, and its output 'a.txt' is not there" in shown.err
    assert "let it run: assay unfreeze a" in shown.err
    assert make.assay(folder, "repro", "--dry") == shown
    make.write(folder, {"a.txt": "mine\n"})
    assert dry(folder) == states(folder) == {"a": "frozen"}
    make.done(folder, "unfreeze", "a")
    make.done(folder, "repro")
    assert (folder / "a.txt").read_text() == "1\n"


def test_an_output_without_cache_stays_a_plain_file_that_git_sees(flags: tuple[Path, Path]):
    folder, side = flags
    assert "plain.txt" not in (folder / ".gitignore").read_text()
    assert "plain.txt" in make.git(folder, "status", "--porcelain")
    (folder / "plain.txt").unlink()
    make.done(folder, "repro", "plain")
    assert stages.starts(side) == ["plain"]


def test_an_output_that_is_not_pushed_stays_here(tmp_path: Path):
    text = """
stages:
  both:
    cmd: echo a > a; echo b > b
    outs: [a, {b: {push: false}}]
"""
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.done(folder, "repro")
    assert make.done(folder, "push", "--no-runs") == "1 file pushed\n"


def test_a_command_of_several_lines_or_items_stops_at_the_first_that_fails(tmp_path: Path):
    text = """
stages:
  lines:
    cmd: |
      echo 1 >> log
      false
      echo 2 >> log
  items:
    cmd: ["x=1; echo 3 >> log", "echo $x >> log", "exit 4", "echo 5 >> log"]
"""
    folder = stages.pipeline(tmp_path / "project", text)
    lines = make.assay(folder, "repro", "lines")
    assert lines.code == 255
    assert "stage 'lines': 'false' failed with exit status 1" in lines.err
    assert "'exit 4' failed with exit status 4" in make.assay(folder, "repro", "items").err
    assert (folder / "log").read_text() == "1\n3\n\n"


def test_stages_of_several_files_are_one_graph_and_wdir_moves_their_paths(tmp_path: Path):
    files = {
        "sub/dvc.yaml": """
stages:
  upper:
    wdir: work
    cmd: tr a-z A-Z < ../../low.txt > up.txt
    deps: [../../low.txt]
    params: [k]
    outs: [up.txt]
""",
        "sub/work/params.yaml": "k: 1\n",
    }
    text = "stages:\n  low:\n    cmd: echo abc > low.txt\n    outs: [low.txt]\n"
    folder = stages.pipeline(tmp_path / "project", text, files)
    assert states(folder / "sub") == {"low": "ran", "sub/dvc.yaml:upper": "ran"}
    assert (folder / "sub/work/up.txt").read_text() == "ABC\n"
    assert "- path: ../../low.txt" in (folder / "sub/dvc.lock").read_text()
    assert (folder / "sub/work/.gitignore").read_text() == "/up.txt\n"
    assert states(folder / "sub/work", "up.txt")["sub/dvc.yaml:upper"] == "unchanged"


def test_a_stage_knows_where_it_runs_and_which_it_is(tmp_path: Path):
    text = """
stages:
  says:
    cmd: echo "$DVC_ROOT $DVC_STAGE" > said; echo "$ASSAY_RUN $ASSAY_LEDGER" > run
    outs: [said, run]
"""
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    assert (folder / "said").read_text() == f"{folder} says\n"
    assert (folder / "run").read_text().endswith(f" {folder}/.assay/ledger.db\n")


def test_files_that_git_should_get_are_named(tmp_path: Path):
    folder, _ = stages.three(tmp_path)
    shown = make.assay(folder, "repro")
    assert "git add .gitignore dvc.lock" in shown.err
    make.commit(folder)
    lock = (folder / "dvc.lock").read_text()
    make.write(folder, LR)
    assert "git add dvc.lock\n" in make.assay(folder, "repro").err
    make.git(folder, "checkout", "params.yaml")
    shown = make.assay(folder, "repro")
    assert (folder / "dvc.lock").read_text() == lock
    assert "git add" not in shown.err
    make.done(folder, "config", "core.autostage", "true")
    make.write(folder, LR)
    make.done(folder, "repro")
    staged = make.git(folder, "diff", "--cached", "--name-only").split()
    assert "dvc.lock" in staged
