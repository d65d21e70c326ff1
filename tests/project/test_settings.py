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


def test_the_project_beats_the_user_and_the_clone_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    make.done(project, "config", "--global", "serve.max_connections", "1")
    make.write(project, {"assay.yaml": "settings: {serve: {max_connections: 2}}\n"})
    assert make.done(project, "config", "serve.max_connections") == "2\n"
    make.done(project, "config", "serve.max_connections", "3")
    assert make.done(project, "config", "serve.max_connections") == "3\n"
    make.done(project, "config", "--unset", "serve.max_connections")
    assert make.done(project, "config", "serve.max_connections") == "2\n"
    assert json.loads(make.done(project, "config", "--list", "--json"))[
        "serve.max_connections"
    ] == 2  # fmt: skip


def test_what_the_project_sets_is_what_commands_do(project: Path):
    make.write(
        project, {"assay.yaml": "settings: {profile: {auto: false}}\n", "a.csv": "x\n1\n2\n"}
    )
    make.done(project, "add", "a.csv")
    assert not [*(project / ".assay").rglob("*profile*")]
    assert make.done(project, "config", "profile.auto") == "False\n"


def test_a_linked_work_tree_has_its_own_declaration_and_the_settings_of_the_clone(
    project: Path, tmp_path: Path
):
    make.write(project, {"assay.yaml": "settings: {run: {log_tail: 5}}\n"})
    make.commit(project)
    linked = tmp_path / "linked"
    make.git(project, "worktree", "add", "-q", str(linked))
    make.write(linked, {"assay.yaml": "settings: {run: {log_tail: 6}}\n"})
    assert make.done(linked, "config", "run.log_tail") == "6\n"
    make.done(project, "config", "run.log_tail", "7")
    assert make.done(linked, "config", "run.log_tail") == "7\n"


@pytest.mark.parametrize(
    ("text", "line", "what", "hint"),
    [
        (
            "settings:\n  run:\n    log_tial: 1\n",
            3,
            "no setting 'run.log_tial'",
            "'run.log_tail'?",
        ),
        ("settings:\n  runs: {log_tail: 1}\n", 2, "no setting 'runs.log_tail'", "'run.log_tail'?"),
        ("settings: {run: {log_tail: '1'}}\n", 1, "is '1', not a whole number from 0 to", ""),
        ("settings:\n  run: {log_tail: yes}\n", 2, "is 'yes', not a whole number", ""),
        ("settings:\n  run: {log_tail: true}\n", 2, "is True, not a whole number", ""),
        ("settings:\n\n  profile: {auto: 1}\n", 3, "is 1, not true or false", ""),
        ("settings: {run: {log_tail: -1}}\n", 1, "is -1, not a whole number from 0 to", ""),
        ("settings: {run: {log_tail: 1.5}}\n", 1, "is 1.5, not a whole number", ""),
        ("settings: {run: {log_tail: null}}\n", 1, "is None, not a whole number", ""),
        ("settings: {serve: {max_tensors: 0}}\n", 1, "not a whole number from 1 to", ""),
        (
            "settings: {serve: {max_values: 1" + "0" * 30 + "}}\n",
            1,
            "not a whole number from 1 to 2**53",
            "",
        ),
        ("model: {}\nsettings: [a]\n", 2, "'settings' is a list, not a mapping", "SECTION"),
        ("settings: {run: 5}\n", 1, "'settings.run' is 5, not a mapping", "SECTION"),
        ("settings: {1: 5}\n", 1, "'settings.1' is 5, not a mapping", "SECTION"),
        ("settings: {\n", 1, "not valid YAML", ""),
    ],
)
def test_a_wrong_setting_of_the_project_is_named_with_its_line(project, text, line, what, hint):
    make.write(project, {"assay.yaml": text})
    shown = make.assay(project, "config", "run.log_tail")
    assert shown.code == 255
    assert f"assay.yaml:{line}: " in shown.err
    assert what in shown.err
    assert hint in shown.err


def test_a_setting_of_the_project_does_not_need_the_rest_of_the_declaration(project: Path):
    make.write(project, {"assay.yaml": "gate: 5\nsettings: {run: {log_tail: 1}}\n"})
    assert make.done(project, "config", "run.log_tail") == "1\n"
    make.write(project, {"assay.yaml": "settings: null\n"})
    assert make.done(project, "config", "run.log_tail") == "200\n"


def test_a_declaration_without_settings_is_not_parsed_for_them(project: Path):
    make.write(project, {"assay.yaml": "model: {name: a\n"})
    assert make.done(project, "config", "run.log_tail") == "200\n"


def test_the_declaration_is_not_read_where_a_stronger_place_decides(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    make.write(project, {"assay.yaml": "settings: broken\n"})
    monkeypatch.setenv("ASSAY_RUN_LOG_TAIL", "4")
    assert make.done(project, "config", "run.log_tail") == "4\n"


def test_all_settings_are_listed_ours_with_their_defaults(project: Path):
    make.done(project, "remote", "add", "-d", "st", "../store")
    rows = json.loads(make.done(project, "config", "--list", "--json"))
    assert rows["profile.auto"] is True
    assert rows["core.remote"] == "st"
    assert rows["remote.st.url"] == str(project.parent / "store")


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


@pytest.mark.parametrize(
    "text",
    ["[profile\n", "profile = 1\n", "[profile]\nauto = 3\n", "[profile]\nauto = 'no'\n", "\xff"],
)
def test_a_broken_file_of_settings_is_named(project: Path, text: str):
    (project / ".assay" / "config.toml").write_bytes(text.encode("latin-1"))
    shown = make.assay(project, "config", "profile.auto")
    assert shown.code in {2, 255}
    assert ".assay/config.toml" in shown.err


def test_a_secret_is_not_shown_and_stands_in_no_file_that_git_keeps(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    make.done(project, "config", "hub.token", "s3cret-token")
    assert make.done(project, "config", "hub.token") == "***\n"
    assert "s3cret" not in make.done(project, "config", "--list")
    assert "s3cret" in (project / ".assay" / "config.toml").read_text()
    assert make.git(project, "status", "--porcelain", "--ignored").count("config.toml") == 0
    make.write(project, {"assay.yaml": "settings: {hub: {token: s3cret-token}}\n"})
    make.done(project, "config", "--unset", "hub.token")
    shown = make.assay(project, "config", "hub.token")
    assert shown.code == 255
    assert "is a secret, and git would keep it for everybody" in shown.err
    assert "hint: assay config hub.token VALUE" in shown.err


def test_an_address_of_a_hub_without_its_protocol_is_refused_wherever_it_stands(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    before = make.snapshot(project, without=(".git",))
    shown = make.assay(project, "config", "hub.url", "localhost:5999")
    assert shown.code == 2
    assert f"{project}/.assay/config.toml: 'hub.url' is 'localhost:5999'" in shown.err
    assert "hint: did you mean 'http://localhost:5999'?" in shown.err
    for variable in ("ASSAY_HUB_URL", "ASSAY_HUB", "ASSAY_LEDGER"):
        with monkeypatch.context() as environment:
            environment.setenv(variable, "localhost:5999")
            shown = make.assay(project, "runs", "list")
            assert (shown.code, variable in shown.err) == (2, True), shown
            assert "'http://localhost:5999'" in shown.err
    assert make.snapshot(project, without=(".git",)) == before
    (project / "assay.yaml").write_text("settings:\n  hub:\n    url: notaurl\n")
    shown = make.assay(project, "runs", "list")
    assert "error: assay.yaml:3: 'hub.url' is 'notaurl'" in shown.err
    assert "hint: did you mean 'http://notaurl'?" in shown.err
    assert not (project / "notaurl").exists()


def test_a_script_does_not_record_to_a_file_that_is_named_like_a_hub(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    import assay

    monkeypatch.chdir(project)
    for variable in ("ASSAY_HUB", "ASSAY_LEDGER"):
        with monkeypatch.context() as environment:
            environment.setenv(variable, "localhost:5999")
            with (
                pytest.raises(assay.Error, match=f"'{variable}' is 'localhost:5999'"),
                assay.run(),
            ):
                pass
    assert not (project / "localhost:5999").exists()
