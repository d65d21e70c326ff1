"""What is recorded and not here: got from a remote, let pass, not kept; and asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import pytest

from tests import make, stages
from tests.pipeline import diamond
from tests.pipeline.diamond import states


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone's origin: a pipeline that ran on tracked data, and was pushed with its runs."""
    place = tmp_path_factory.mktemp("template")
    folder, _ = diamond.new(place)
    (folder / "in.txt").unlink()
    make.git(folder, "rm", "-q", "--cached", "in.txt")
    make.write(folder, {"in.txt": "1\n"})
    make.done(folder, "add", "in.txt")
    make.done(folder, "remote", "add", "-d", "store", str(place / "store"))
    make.write(folder, {"alone.in": "before\n"})
    make.done(folder, "repro", "-P")
    make.done(folder, "push", "--run-cache")
    make.write(folder, {"alone.in": "a\n"})
    make.done(folder, "repro", "-P")
    make.done(folder, "push", "--run-cache")
    make.commit(folder)
    return folder


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A fresh clone: no data, no cache."""
    make.git(tmp_path, "clone", "-q", str(template), "project")
    return tmp_path / "project", tmp_path / "starts"


def test_pull_gets_what_is_missing_and_runs_nothing(clone: tuple[Path, Path]):
    folder, side = clone
    assert set(states(folder, "-P", "--dry", "--pull").values()) == {
        "would be restored", "would be pulled",
    }  # fmt: skip
    assert not (folder / ".dvc" / "cache").exists()
    found = states(folder, "-P", "--pull")
    assert set(found.values()) == {"committed", "pulled"}
    assert stages.starts(side) == []
    assert (folder / "bottom.txt").read_text() == "1\n1"
    assert make.git(folder, "status", "--porcelain") == ""
    assert make.done(folder, "repro", "-P") == "Data and pipelines are up to date.\n"


def test_pull_gets_the_inputs_of_a_stage_that_has_to_run(clone: tuple[Path, Path]):
    folder, side = clone
    text = (folder / "dvc.yaml").read_text()
    make.write(folder, {"dvc.yaml": text.replace("cat left.txt right", "cat right.txt left")})
    assert states(folder, "--pull", "-s", "bottom") == {"bottom": "ran"}
    assert stages.starts(side) == ["bottom"]
    assert (folder / "right.txt").read_text() == "1"
    assert not (folder / "top.txt").exists()


def test_pull_finds_what_a_command_made_elsewhere(clone: tuple[Path, Path]):
    folder, side = clone
    make.write(folder, {"alone.in": "before\n"})
    assert states(folder, "--pull", "alone") == {"alone": "restored"}
    assert stages.starts(side) == []
    assert (folder / "alone.txt").read_text() == "before\n"


def test_pull_runs_what_the_remote_does_not_have(clone: tuple[Path, Path], template: Path):
    folder, side = clone
    oid = stages.out_oid(folder, "alone.txt")
    shutil.copytree(template.parent / "store", folder.parent / "part")
    (folder.parent / "part" / "files" / "md5" / oid[:2] / oid[2:]).unlink()
    make.done(folder, "remote", "modify", "--local", "store", "url", str(folder.parent / "part"))
    assert states(folder, "--pull", "alone") == {"alone": "ran"}
    assert stages.starts(side) == ["alone"]


def test_pull_without_a_remote_says_so(clone: tuple[Path, Path]):
    folder, side = clone
    make.done(folder, "remote", "remove", "store")
    shown = make.assay(folder, "repro", "--pull")
    assert shown.code == 255
    assert "remote" in shown.err
    assert stages.starts(side) == []


def test_without_pull_missing_data_is_named(clone: tuple[Path, Path]):
    folder, side = clone
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert "assay pull" in shown.err
    assert stages.starts(side) == []


def test_allow_missing_takes_what_is_only_missing_for_unchanged(clone: tuple[Path, Path]):
    folder, side = clone
    assert set(states(folder, "--allow-missing", "--dry", "-P").values()) == {"unchanged"}
    assert set(states(folder, "--allow-missing", "-P").values()) == {"unchanged"}
    assert stages.starts(side) == []
    make.write(folder, {"alone.in": "new\n"})
    assert states(folder, "--allow-missing")["alone"] == "ran"
    assert stages.starts(side) == ["alone"]


def test_allow_missing_sees_that_what_made_a_missing_input_made_another(
    clone: tuple[Path, Path],
):
    folder, side = clone
    text = stages.lock(folder)
    oid = stages.out_oid(folder, "top.txt")
    head, tail = text.split("outs:\n    - path: top.txt", 1)
    make.write(folder, {
        "dvc.lock": head + "outs:\n    - path: top.txt" + tail.replace(oid, "f" * 32, 1),
    })  # fmt: skip
    assert states(folder, "--allow-missing", "top") == {
        "in.txt.dvc": "unchanged",
        "top": "unchanged",
    }
    for dry in ([], ["--dry"]):
        shown = make.assay(folder, "repro", "--allow-missing", *dry)
        assert shown.code == 255
        assert "the dependency 'top.txt' of stage 'left' does not exist" in shown.err
    assert stages.starts(side) == []


def test_dry_with_pull_says_what_runs_on_what_is_pulled(clone: tuple[Path, Path]):
    folder, _ = clone
    text = (folder / "dvc.yaml").read_text()
    make.write(folder, {"dvc.yaml": text.replace("cat left.txt right", "cat right.txt left")})
    assert states(folder, "--pull", "-s", "--dry", "bottom") == {"bottom": "would run"}


@pytest.fixture
def ran(tmp_path: Path) -> tuple[Path, Path]:
    return diamond.ran(tmp_path)


def test_without_commit_the_lock_is_written_and_nothing_is_kept(ran: tuple[Path, Path]):
    folder, side = ran
    cached = set(make.cache(folder))
    make.write(folder, {"alone.in": "new\n"})
    assert states(folder, "--no-commit", "alone") == {"alone": "ran"}
    assert set(make.cache(folder)) == cached
    assert "not in cache" in make.done(folder, "status")
    assert states(folder, "alone") == {"alone": "ran"}
    assert stages.starts(side) == ["alone"] * 2
    assert set(make.cache(folder)) - cached == {stages.out_oid(folder, "alone.txt")}


def test_what_follows_on_a_run_is_forced(ran: tuple[Path, Path]):
    folder, side = ran
    make.write(folder, {"in.txt": "1 but another\n"})  # 'right' makes the same of it
    assert states(folder, "--force-downstream", "--dry") == {
        **dict.fromkeys(diamond.DIAMOND, "would run"), "alone": "unchanged",
    }  # fmt: skip
    assert states(folder, "--force-downstream") == {
        **dict.fromkeys(diamond.DIAMOND, "ran"), "alone": "unchanged",
    }  # fmt: skip
    assert stages.starts(side) == diamond.DIAMOND


def test_each_stage_that_runs_is_asked_for_and_a_no_ends_it(
    ran: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    folder, side = ran
    make.write(folder, {"in.txt": "2\n"})
    asked: list[str] = []

    def answer(text: str, **_: object) -> bool:
        asked.append(text)
        return "left" not in text

    monkeypatch.setattr(click, "confirm", answer)
    shown = make.assay(folder, "repro", "-i")
    assert shown.code == 1
    assert "you said no to stage 'left'" in shown.err
    assert asked == ["Run stage 'top'?", "Run stage 'left'?"]
    assert stages.starts(side) == ["top"]


def test_where_nobody_answers_nothing_runs(ran: tuple[Path, Path]):
    folder, side = ran
    make.write(folder, {"in.txt": "2\n"})
    shown = make.process(folder, "repro", "-i")
    assert shown.code == 2, shown
    assert "nobody answers whether stage 'top' is to run" in shown.err
    assert stages.starts(side) == []
