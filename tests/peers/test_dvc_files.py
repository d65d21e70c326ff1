"""Commands on records and settings: real DVC and ours beside each other, to the byte."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from assay.project import ini
from tests import dvc_2, make, stages
from tests.stages import dvc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and os.environ.get("CI") != "true",
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]

SKIPPED = {".git", ".assay", "cache", "tmp"}


def texts(folder: Path) -> dict[str, str]:
    """Return every small file, data and records alike."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not SKIPPED.intersection(path.relative_to(folder).parts)
    }


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two projects with the same tracked data, committed: for us, for DVC."""
    ours, theirs = tmp_path / "ours" / "p", tmp_path / "theirs" / "p"
    make.project(ours)
    make.write(
        ours,
        {
            "a.txt": "1",
            "[b]*.txt": "2",
            "d/x": "3",
            "d/s/y": "4",
            "t/keep": "5",
            "with space": "6",
        },
    )
    make.done(ours, "add", "--no-profile", "a.txt", "[b]*.txt", "d", "with space")
    make.commit(ours)
    shutil.copytree(ours, theirs, symlinks=True)
    return ours, theirs


@pytest.mark.parametrize(
    "arguments",
    [
        ("remove", "a.txt.dvc"),
        ("remove", "a.txt.dvc", "d.dvc", "--outs"),
        ("move", "a.txt", "b.txt"),
        ("move", "d", "t"),
        ("move", "[b]*.txt", "t/[c]?.txt"),
        ("move", "with space", "t/un der"),
        ("unprotect", "d", "a.txt"),
    ],
    ids=" ".join,
)
def test_records_and_ignore_files_end_up_the_same(pair, arguments: tuple[str, ...]):
    ours, theirs = pair
    make.done(ours, *arguments)
    dvc(theirs, *arguments)
    assert _lines(texts(ours)) == _lines(texts(theirs))
    assert dvc(ours, "status") == "Data and pipelines are up to date.\n"
    assert make.done(theirs, "status") == "Data and pipelines are up to date.\n"


def _lines(found: dict[str, str]) -> dict[str, str]:
    r"""Return the texts without `/\[b\]\*.txt`, which DVC leaves behind when the data moved."""
    text = found.get(".gitignore", "")
    kept = [line for line in text.splitlines() if "[b\\]" not in line]
    return found | {".gitignore": "\n".join(kept)}


def test_an_import_that_moved_is_an_import_with_the_right_checksum(tmp_path: Path):
    ours, theirs = tmp_path / "ours" / "p", tmp_path / "theirs" / "p"
    for folder in (ours, theirs):
        make.repository(folder)
        dvc(folder, "init", "-q")
        make.write(folder.parent, {"e.txt": "x\n"})
        make.write(folder, {"t/keep": ""})
        dvc(folder, "import-url", "-q", str(tmp_path / "ours" / "e.txt"), "e.txt")
    make.done(ours, "move", "e.txt", "t")
    dvc(theirs, "move", "e.txt", "t")
    assert texts(ours) == texts(theirs)


PIPELINE = """\
# the whole
stages:
  # one
  one:
    cmd: echo 1 > one.txt
    outs: [one.txt]
  # two
  two:
    cmd: |
      echo 2 > two.txt; touch n.txt
      # not a comment
    outs:
    - two.txt
    - n.txt:
        cache: false
"""


def test_a_stage_that_is_removed_is_gone_for_dvc_too(tmp_path: Path):
    project = make.project(tmp_path / "p")
    make.write(project, {"dvc.yaml": PIPELINE})
    dvc(project, "repro", "-q")
    other = tmp_path / "q"
    shutil.copytree(project, other)
    make.done(project, "remove", "two")
    dvc(other, "remove", "two")
    assert texts(project) == texts(other)
    make.done(project, "remove", "one", "--outs")
    dvc(other, "remove", "one", "--outs")
    assert texts(project) == texts(other)


IGNORED = {
    ".dvcignore": "# c\n*.tmp\n\n!keep.tmp\ntmp/\n/x y\n",
    "sub/.dvcignore": "*.log\nk\n!b.tmp\n",
    "tmp/f": "",
    "sub/k/z": "",
}


@pytest.mark.parametrize(
    "arguments",
    [
        "a.tmp b",
        "keep.tmp",
        "-d sub/b.tmp sub/a.tmp sub/x.log tmp tmp/q sub/k/z sub/k",
        "-d -n a.tmp b",
        ".dvc/config .git/x",
        "/nowhere",
        "-d .dvc/x",
    ],
)
def test_what_is_ignored_is_told_alike(project: Path, arguments: str):
    make.write(project, IGNORED)
    ours = make.assay(project, "check-ignore", *arguments.split())
    theirs = subprocess.run(
        [str(stages.DVC), "check-ignore", *arguments.split()],
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ours.out == theirs.stdout
    if "sub/b.tmp" not in arguments:  # of a pattern with '!' DVC says that it ignores
        assert ours.code == theirs.returncode


SETTINGS = [
    "remote add s ../../store",
    "remote add -d t ../t",
    "remote modify s jobs 3",
    "remote add Big s3://bucket/path",
    "remote modify big endpointurl http://127.0.0.1:1",
    "remote modify big credentialpath keys",
    "remote modify --local big secret_access_key xyz",
    "remote modify s url ../x",
    "remote modify --unset s jobs",
    "remote rename t u",
    "remote remove u",
    "config cache.type hardlink,symlink",
    "config core.autostage TRUE",
    "config --local core.analytics false",
    "config --global core.check_update false",
    "config --unset core.autostage",
    "cache dir ../cc",
    "cache dir --local /abs/k",
    "cache dir -u",
    "remote add -f s /elsewhere",
    "remote default s",
    "remote default -u",
]


def test_settings_are_written_to_the_byte_as_dvc_writes_them(tmp_path: Path, monkeypatch):
    ours, theirs = make.project(tmp_path / "ours" / "p"), make.project(tmp_path / "theirs" / "p")
    for folder in (ours, theirs):
        make.write(folder, {"sub/keep": ""})
    for line in SETTINGS:
        monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(ours.parent / "user"))
        make.done(ours / "sub", *line.split())
        monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(theirs.parent / "user"))
        dvc(theirs / "sub", *line.split())
        for name in ("p/.dvc/config", "p/.dvc/config.local", "user/config"):
            texts_of = [_text(folder.parent / name) for folder in (ours, theirs)]
            if "rename" in line:  # DVC moves the section to the end, away from its comments
                texts_of = [str(ini.parse(text, where=name)) for text in texts_of]
                texts_of = ["".join(sorted(text)) for text in texts_of]
            assert texts_of[0] == texts_of[1], line


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


REFUSED = [
    "remote modify s profile ada",
    "remote modify s nope 3",
    "remote modify s jobs many",
    "remote modify s jobs 0",
    "remote modify s verify maybe",
    "remote modify zz jobs 3",
    "remote rename s t",
    "remote rename zz u",
    "remote remove zz",
    "config core.autostage maybe",
    "config core.checksum_jobs 0",
    "config cache.type foo",
    "config cache.shared foo",
    "config remote.s.nope 1",
    "config --unset core.remote",
    "config --local core.autostage",
]


def test_what_dvc_refuses_to_write_is_refused(project: Path):
    make.done(project, "remote", "add", "s", "/store")
    make.done(project, "remote", "add", "t", "/store")
    make.done(project, "config", "core.autostage", "true")
    before = make.state(project)
    for line in REFUSED:
        shown = make.assay(project, *line.split())
        theirs = subprocess.run(
            [str(stages.DVC), *line.split()], cwd=project, check=False, capture_output=True
        )
        assert theirs.returncode == 251, line
        assert shown.code in {2, 255}, line
        assert "hint:" in shown.err, line
        assert make.state(project) == before, line


def test_settings_are_listed_with_their_files_as_dvc_lists_them(project: Path):
    for line in SETTINGS[:7]:
        make.done(project, *line.split())
    for option in ((), ("--show-origin",), ("--local",), ("--project", "--show-origin")):
        ours = make.done(project, "config", "--list", *option).splitlines()
        theirs = dvc(project, "config", "--list", *option).splitlines()
        assert set(theirs) <= set(ours)
    for option in ((), ("--show-origin",)):
        for key in ("core.remote", "remote.s.url"):
            ours_one = make.done(project, "config", key, *option)
            assert ours_one == dvc(project, "config", key, *option)
    assert make.done(project, "cache", "dir") == dvc(project, "cache", "dir")
    assert make.done(project / ".dvc" / "tmp", "root") == dvc(project / ".dvc" / "tmp", "root")


@pytest.mark.parametrize("arguments", [("--no-scm",), ("--subdir",), ("--no-scm", "-f")])
def test_a_new_project_without_git_or_below_it_is_the_same(tmp_path: Path, arguments):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        if "--subdir" in arguments:
            make.repository(folder)
        (folder / "sub").mkdir()
    make.done(ours / "sub", "init", *arguments)
    dvc(theirs / "sub", "init", *arguments)
    assert texts(ours) == texts(theirs)
    if "--subdir" in arguments:
        assert make.git(ours, "status", "--short") == make.git(theirs, "status", "--short")
    for folder in (ours, theirs):
        make.write(folder / "sub", {"a": "1", "d/x": "2"})
    make.done(ours / "sub", "add", "--no-profile", "a", "d")
    dvc(theirs / "sub", "add", "a", "d")
    assert texts(ours) == texts(theirs)
    assert dvc(ours / "sub", "status") == make.done(theirs / "sub", "status")


def test_destroy_leaves_what_dvc_leaves(tmp_path: Path):
    ours, theirs = make.project(tmp_path / "ours"), tmp_path / "theirs"
    make.write(ours, {"dvc.yaml": PIPELINE, "d/x": "1"})
    dvc(ours, "repro", "-q")
    dvc(ours, "add", "-q", "d")
    shutil.copytree(ours, theirs, symlinks=True)
    for folder in (ours, theirs):
        dvc(folder, "config", "cache.type", "symlink")
        dvc(folder, "checkout", "-q", "--relink")
    make.done(ours, "destroy", "--force")
    dvc(theirs, "destroy", "--force")
    assert texts(ours) == texts(theirs)
    assert not any(path.is_symlink() for path in ours.rglob("*"))
    assert not (ours / ".assay").exists()
    left = {path.name for path in theirs.iterdir()} - {".assay"}
    assert {path.name for path in ours.iterdir()} == left


def test_a_cache_of_dvc_2_is_migrated_alike(tmp_path: Path):
    ours = dvc_2.project(tmp_path / "ours")
    theirs = tmp_path / "theirs"
    shutil.copytree(ours, theirs, symlinks=True)
    dry = ("cache", "migrate", "--dvc-files", "--dry")
    assert sorted(make.done(ours, *dry).splitlines()) == sorted(dvc(theirs, *dry).splitlines())
    told = make.done(ours, "cache", "migrate", "--dvc-files")
    assert set(told.splitlines()) <= set(
        dvc(theirs, "cache", "migrate", "--dvc-files").splitlines()
    )
    assert texts(ours) == texts(theirs)
    assert make.done(ours, "status") == "Data and pipelines are up to date.\n"
    assert dvc(ours, "status") == "Data and pipelines are up to date.\n"
    shutil.rmtree(ours / "d")
    dvc(ours, "checkout")
    assert (ours / "d" / "crlf").read_bytes() == b"a\r\nb\r\n"


def test_a_merge_of_two_folders_is_the_one_of_dvc(tmp_path: Path):
    found = {}
    for tool in ("assay", "dvc"):
        project = make.project(tmp_path / tool)
        _diverge(project)
        driver = f"{tool} git-hook merge-driver --ancestor %O --our %A --their %B"
        if tool == "dvc":
            driver = driver.replace("dvc", str(stages.DVC), 1)
        make.git(project, "config", "merge.dvc.driver", driver)
        make.git(project, "merge", "-q", "-m", "both", "side")
        found[tool] = (project / "d.dvc").read_text()
        assert dvc(project, "checkout").split() == ["M", "d/"]
        assert sorted(p.name for p in (project / "d").iterdir()) == ["a", "ours", "theirs"]
    assert found["assay"] == found["dvc"]


def _diverge(project: Path) -> None:
    make.write(project, {"d/a": "1", "d/gone": "2", ".gitattributes": "*.dvc merge=dvc\n"})
    make.done(project, "add", "--no-profile", "d")
    make.commit(project)
    make.git(project, "checkout", "-q", "-b", "side")
    make.write(project, {"d/theirs": "33"})
    (project / "d" / "gone").unlink()
    make.done(project, "add", "--no-profile", "d")
    make.commit(project)
    make.git(project, "checkout", "-q", "main")
    dvc(project, "checkout", "-q")
    make.write(project, {"d/ours": "444", "d/a": "5"})
    make.done(project, "add", "--no-profile", "d")
    make.commit(project)


def test_hooks_of_dvc_are_not_overwritten_and_the_other_way_round(project: Path):
    dvc(project, "install")
    hooks = project / ".git" / "hooks"
    before = {path: path.read_text() for path in hooks.iterdir()}
    shown = make.assay(project, "install")
    assert shown.code == 1
    assert "git-hook" in shown.err
    assert {path: path.read_text() for path in hooks.iterdir()} == before
