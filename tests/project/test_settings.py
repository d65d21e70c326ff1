"""`assay config`: DVC's keys go to DVC's files, ours to ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import make


def test_our_settings_never_enter_dvcs_files(project: Path):
    make.done(project, "config", "profile.auto", "false")
    make.done(project, "config", "core.autostage", "true")
    assert (project / ".dvc" / "config").read_text() == "[core]\n    autostage = true\n"
    assert (project / ".assay" / "config.toml").read_text() == "[profile]\nauto = false\n"
    assert make.done(project, "config", "profile.auto") == "False\n"
    assert make.done(project, "config", "core.autostage") == "true\n"


def test_the_environment_beats_the_clone_and_the_clone_the_user(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    make.done(project, "config", "--global", "run.log_tail", "1")
    assert (tmp_path / "xdg" / "assay" / "config.toml").exists()
    assert make.done(project, "config", "run.log_tail") == "1\n"
    make.done(project, "config", "run.log_tail", "2")
    assert make.done(project, "config", "run.log_tail") == "2\n"
    monkeypatch.setenv("ASSAY_RUN_LOG_TAIL", "3")
    assert make.done(project, "config", "run.log_tail") == "3\n"
    monkeypatch.delenv("ASSAY_RUN_LOG_TAIL")
    make.done(project, "config", "--unset", "run.log_tail")
    assert make.done(project, "config", "run.log_tail") == "1\n"


def test_all_settings_are_listed_ours_with_their_defaults(project: Path):
    make.done(project, "remote", "add", "-d", "st", "../store")
    rows = json.loads(make.done(project, "config", "--list", "--json"))
    assert rows["profile.auto"] is True
    assert rows["core.remote"] == "st"
    assert rows["remote.st.url"] == "../../store"


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (("profile.atuo", "true"), "no setting 'profile.atuo'", "did you mean 'profile.auto'?"),
        (("profile.auto", "perhaps"), "'profile.auto' is 'perhaps', not true or false", ""),
        (("core.remot", "st"), "has no option 'remot'", "did you mean 'remote'?"),
        (("nodot",), "'nodot' is not a setting", "SECTION.OPTION"),
        (("core.remote", "--global", "--local"), "two files", ""),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_written(project, arguments, what, hint):
    before = make.snapshot(project, without=(".git",))
    shown = make.assay(project, "config", *arguments)
    assert shown.code == 2
    assert what in shown.err
    assert hint in shown.err
    assert make.snapshot(project, without=(".git",)) == before


def test_what_is_not_set_is_an_error(project: Path):
    for arguments in (("core.remote",), ("--unset", "core.remote"), ("--unset", "profile.auto")):
        shown = make.assay(project, "config", *arguments)
        assert shown.code == 255
        assert "is not set" in shown.err


@pytest.mark.parametrize("text", ["[profile\n", "profile = 1\n", "[profile]\nauto = 3\n", "\xff"])
def test_a_broken_file_of_settings_is_named(project: Path, text: str):
    (project / ".assay" / "config.toml").write_bytes(text.encode("latin-1"))
    shown = make.assay(project, "config", "profile.auto")
    assert shown.code in {2, 255}
    assert ".assay/config.toml" in shown.err
