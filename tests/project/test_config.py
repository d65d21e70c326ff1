"""DVC's configuration: read as DVC does, written in place, nothing of ours in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound, Usage
from assay.project import config, ini
from assay.project.config import Config
from tests import make


@pytest.fixture
def dvc(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    return tmp_path / ".dvc"


def test_what_dvc_writes_is_read(tmp_path: Path):
    text = (
        "[core]\n    remote = st\n# a comment\n['remote \"st\"']\n    url = ../../store\n"
        "[cache]\n    type = \"hardlink,symlink\"\n    DIR = '/tmp/it''s'\n"
    )
    found = config.parse(text, where="config")
    assert found['remote "st"'] == {"url": "../../store"}
    assert found["cache"]["type"] == "hardlink,symlink"
    assert found["core"] == {"remote": "st"}


@pytest.mark.parametrize("line", ["what is this", "[core", "key = in no section"])
def test_a_line_that_means_nothing_is_named(line: str):
    text = f"\n{line}\n" if "=" in line else f"[core]\n{line}\n"
    with pytest.raises(Error, match="neither a") as caught:
        config.parse(text, where="config")
    assert caught.value.where == "config:2"
    assert caught.value.hint


VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="\"'"),
    max_size=12,
).filter(lambda text: text == text.strip())


@given(st.sampled_from(["a", "c d", "ü"]), VALUES, VALUES)
def test_what_is_set_is_read_back_and_nothing_else_changes(name: str, value: str, other: str):
    """The text of the file stays: comments, order, the other options."""
    text = "# mine\n[core]\n    remote = st  # why\n    analytics = false\n"
    for new in (value, other):
        section = f'remote "{name}"'
        text = ini.with_option(text, section, "url", new)
        found = config.parse(text, where="config")
        assert found == {
            "core": {"remote": "st", "analytics": "false"},
            section: {"url": new},
        }
    assert text.startswith("# mine\n[core]\n    remote = st  # why\n")


def test_a_persons_comments_stay(dvc: Path):
    text = "# the team's store\n[core]\n    remote = st ; chosen in May\n"
    (dvc / "config").write_text(text)
    Config.of(dvc).set("core", "autostage", "true")
    assert (dvc / "config").read_text() == f"{text}    autostage = true\n"
    Config.of(dvc).unset("core", "autostage")
    assert (dvc / "config").read_text() == text


def test_an_emptied_section_goes(dvc: Path):
    found = Config.of(dvc)
    found.set("core", "autostage", "true")
    found.unset("core", "autostage")
    assert (dvc / "config").read_text() == ""
    with pytest.raises(NotFound, match=r"'core.autostage' is not set"):
        found.unset("core", "autostage")


def test_the_later_level_wins_key_by_key(dvc: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    make.write(
        tmp_path,
        {
            "user/config": "[core]\n    remote = user\n    autostage = true\n",
            ".dvc/config": "[core]\n    remote = team\n['remote \"team\"']\n    url = store\n",
            ".dvc/config.local": "['remote \"team\"']\n    jobs = 2\n    url = /fast\n",
        },
    )
    found = Config.of(dvc)
    assert found.get("core", "remote") == "team"
    assert found.flag("core", "autostage")
    assert found.remote().url == "/fast"
    assert found.remote().options == {"jobs": "2"}


def test_a_relative_path_belongs_to_the_folder_of_its_file(dvc: Path, tmp_path: Path):
    (dvc / "config").write_text("[cache]\n    dir = ../c\n['remote \"st\"']\n    url = ../../s\n")
    assert Config.of(dvc).path("cache", "dir") == tmp_path / "c"
    assert Config.of(dvc).remote("st").url == str(tmp_path.parent / "s")


def test_no_remote_and_an_unknown_one_come_with_the_next_step(dvc: Path):
    with pytest.raises(NotFound, match="no default remote") as caught:
        Config.of(dvc).remote()
    assert "assay remote add" in (caught.value.hint or "")
    (dvc / "config").write_text("['remote \"store\"']\n    url = /s\n")
    with pytest.raises(NotFound, match="no default remote") as caught:
        Config.of(dvc).remote()
    assert "assay remote default store" in (caught.value.hint or "")
    with pytest.raises(NotFound, match="no remote 'stroe'") as caught:
        Config.of(dvc).remote("stroe")
    assert caught.value.hint == "did you mean 'store'?"


def test_a_remote_without_an_address_is_named(dvc: Path):
    (dvc / "config").write_text("['remote \"st\"']\n    jobs = 1\n")
    with pytest.raises(Error, match="remote 'st' has no 'url'"):
        Config.of(dvc).remotes()


def test_no_key_goes_in_that_dvc_would_fail_on(dvc: Path):
    found = Config.of(dvc)
    with pytest.raises(Usage, match="no section 'profile'"):
        found.set("profile", "auto", "true")
    with pytest.raises(Usage, match="no option 'remotes'") as caught:
        found.set("core", "remotes", "st")
    assert caught.value.hint == "did you mean 'remote'?"
    assert not (dvc / "config").exists()


def test_a_link_type_that_does_not_exist_is_named(dvc: Path):
    assert Config.of(dvc).link_types() == ("reflink", "copy")
    (dvc / "config").write_text('[cache]\n    type = "symlink, hardlink"\n')
    assert Config.of(dvc).link_types() == ("symlink", "hardlink")
    (dvc / "config").write_text("[cache]\n    type = simlink\n")
    with pytest.raises(Error, match="'simlink'") as caught:
        Config.of(dvc).link_types()
    assert caught.value.hint == "did you mean 'symlink'?"


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("FALSE", False)])
def test_a_flag_is_true_or_false(dvc: Path, value: str, meant: bool):
    (dvc / "config").write_text(f"[core]\n    autostage = {value}\n")
    assert Config.of(dvc).flag("core", "autostage") is meant
    (dvc / "config").write_text("[core]\n    autostage = yes\n")
    with pytest.raises(Error, match=r"'core\.autostage' is 'yes'"):
        Config.of(dvc).flag("core", "autostage")


def test_a_file_that_is_no_text_is_named(dvc: Path):
    (dvc / "config").write_bytes(b"\xff\xfe")
    with pytest.raises(Error, match="cannot be read") as caught:
        Config.of(dvc)
    assert caught.value.where == str(dvc / "config")


BOTH = {
    ".dvc/config": "[core]\n    remote = st\n# ours\n['remote \"st\"']\n    url = s3://b/p\n",
    ".dvc/config.local": "['remote \"st\"']\n    access_key_id = AK\n",
}


def test_a_remote_is_renamed_in_both_files_and_stays_the_default(dvc: Path, tmp_path: Path):
    make.write(tmp_path, BOTH)
    found = Config.of(dvc)
    found.rename_remote("st", "new", levels=("project", "local"))
    assert found.remote().name == "new"
    assert found.remote().options == {"access_key_id": "AK"}
    assert (dvc / "config").read_text() == BOTH[".dvc/config"].replace("st\n", "new\n").replace(
        '"st"', '"new"'
    )


@pytest.mark.parametrize("action", ["rename", "remove"])
def test_a_remote_changes_in_all_files_or_in_none(dvc: Path, tmp_path: Path, action: str):
    make.write(tmp_path, BOTH)
    found = Config.of(dvc)
    before = make.snapshot(tmp_path)

    def act(*levels: config.Level) -> None:
        if action == "rename":
            found.rename_remote("st", "new", levels=levels)
        else:
            found.remove_remote("st", levels=levels)

    with pytest.raises(Usage, match="would have no address"):
        act("project")
    assert make.snapshot(tmp_path) == before
    (dvc / "config.local").unlink()
    (dvc / "config.local").mkdir()  # cannot be written: the first file is put back
    found._levels["local"] = {'remote "st"': {"access_key_id": "AK"}}
    with pytest.raises(Error):
        act("project", "local")
    assert (dvc / "config").read_text() == BOTH[".dvc/config"]


def test_a_remote_that_is_removed_is_no_default_any_more(dvc: Path, tmp_path: Path):
    make.write(tmp_path, BOTH)
    found = Config.of(dvc)
    found.remove_remote("ST", levels=("project", "local"))
    assert found.merged() == {}
    assert (dvc / "config").read_text() == "# ours\n"


def test_a_remote_of_another_level_is_named(dvc: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    make.write(tmp_path, {"user/config": "['remote \"st\"']\n    url = /s\n"})
    with pytest.raises(NotFound) as caught:
        Config.of(dvc).remove_remote("st", levels=("project", "local"))
    assert "--global" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("section", "key", "value", "wanted"),
    [
        ('remote "st"', "region", "eu", "no option 'region'"),
        ('remote "st"', "jobs", "0", "not a whole number from 1"),
        ('remote "st"', "verify", "yes", "not 'true' or 'false'"),
        ('remote "s3"', "read_timeout", "1.5", "not a whole number"),
        ('remote "web"', "read_timeout", "soon", "not a number of seconds"),
        ('remote "web"', "auth", "kerberos", "not 'basic'"),
        ("core", "autostage", "1", "not 'true' or 'false'"),
        ("cache", "type", "hardlink,simlink", "not a list of"),
        ("cache", "shared", "all", "not 'group'"),
    ],
)
def test_no_value_goes_in_that_dvc_would_fail_on(dvc: Path, section, key, value, wanted):
    (dvc / "config").write_text(
        "['remote \"st\"']\n    url = /s\n['remote \"s3\"']\n    url = s3://b\n"
        "['remote \"web\"']\n    url = https://host/x\n"
    )
    before = (dvc / "config").read_text()
    with pytest.raises(Usage, match=wanted):
        Config.of(dvc).set(section, key, value)
    assert (dvc / "config").read_text() == before


def test_an_address_that_the_options_do_not_fit_is_refused(dvc: Path):
    (dvc / "config").write_text("['remote \"st\"']\n    url = s3://b\n    region = eu\n")
    with pytest.raises(Usage, match="no option 'region'"):
        Config.of(dvc).set('remote "st"', "url", "/folder")


def test_a_key_file_is_relative_to_the_file_that_names_it(dvc: Path, tmp_path: Path):
    found = Config.of(dvc)
    found.set('remote "st"', "url", "ssh://host/p")
    found.set('remote "st"', "keyfile", "key", cwd=tmp_path / "sub")
    assert "keyfile = ../sub/key" in (dvc / "config").read_text()
    assert found.remote("st").options == {"keyfile": str(tmp_path / "sub" / "key")}
