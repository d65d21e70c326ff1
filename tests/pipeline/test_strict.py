"""What a stage reads and writes without declaring it is found, and nothing else is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.pipeline import strict
from assay.pipeline.strict import Findings
from assay.project import workspace
from tests import make, traced

traced.skip_where_impossible()

NOTHING = Findings()
PYTHON = sys.executable
CODE = {
    "train.py": "import src.model\nprint(open('data/in.csv').read(), file=open('out.txt', 'w'))\n",
    "src/__init__.py": "",
    "src/model.py": "from src import layers\n",
    "src/layers.py": "SIZE = 1\n",
    "src/unused.py": "",
    "data/in.csv": "1\n",
}


def test_a_stage_that_declares_all_of_it_is_clean(project):
    found = traced.found(
        project,
        f"{PYTHON} train.py",
        files=CODE,
        deps=["train.py", "src", "data/in.csv"],
        outs=["out.txt"],
    )
    assert found == NOTHING
    assert not found


def test_modules_that_a_script_imports_are_named_also_when_only_their_bytecode_is_read(
    project, monkeypatch
):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    make.write(project, CODE)
    wanted = ("src/__init__.py", "src/layers.py", "src/model.py", "train.py")
    for _ in range(2):
        found = traced.found(project, f"{PYTHON} train.py", deps=["data"], outs=["out.txt"])
        assert found == Findings(read=wanted)
    assert list(project.glob("src/__pycache__/layers*.pyc"))


def test_data_that_is_read_and_files_that_are_left_behind_are_named(project):
    files = {"a.txt": "1", "b.txt": "2", "logs/.keep": ""}
    found = traced.found(
        project, "cat a.txt b.txt > out.txt; date > logs/now", files=files, deps=["a.txt"],
        outs=["out.txt"],
    )  # fmt: skip
    assert found == Findings(read=("b.txt",), written=("logs/now",))


def test_ignored_files_count_as_any_others(project):
    files = {".gitignore": "*.bin\n", "x.bin": "1", ".dvcignore": "dep/skipped\n",
             "dep/skipped": "1", "dep/seen": "1"}  # fmt: skip
    found = traced.found(project, "cat x.bin dep/*; echo 1 > y.bin", files=files, deps=["dep"])
    assert found == Findings(read=("dep/skipped", "x.bin"), written=("y.bin",))


def test_files_about_the_pipeline_and_parameter_files_may_be_read(project):
    files = {"params.yaml": "a: 1\n", "c.toml": "b = 1\n", "other.yaml": "", ".gitignore": ""}
    make.write(project, {"x.dvc": "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: x\n"})
    found = traced.found(
        project,
        "cat params.yaml c.toml dvc.yaml .dvcignore .gitignore x.dvc .git/HEAD .dvc/config; "
        "cat other.yaml",
        files=files,
        params=["a", {"c.toml": None}],
    )
    assert found == Findings(read=("other.yaml",))


def test_what_a_stage_made_itself_it_may_read_and_take_away(project):
    found = traced.found(
        project,
        "mkdir -p tmp/d; echo 1 > tmp/d/x; cat tmp/d/x; mv tmp/d tmp/e; cat tmp/e/x > out.txt; "
        "rm -r tmp",
        outs=["out.txt"],
    )
    assert found == NOTHING


def test_a_temporary_file_that_becomes_the_output_is_no_finding(project):
    found = traced.found(
        project,
        "echo 1 > .out.tmp; mv .out.tmp out.txt",
        "mkdir .d; echo 1 > .d/a; mv .d d",
        outs=["out.txt", "d"],
    )
    assert found == NOTHING


def test_a_file_of_git_that_is_overwritten_and_removed_was_there_before(project):
    make.write(project, {"kept.txt": "1", "dep.txt": "2"})
    make.commit(project)
    command = "echo 2 > kept.txt; rm kept.txt; echo 1 > temporary; rm temporary; rm gone"
    found = traced.found(project, command, files={"gone": ""})
    assert found == Findings(written=("gone", "kept.txt"))


def test_a_dependency_that_a_stage_changes_is_a_file_that_it_writes(project):
    found = traced.found(project, "echo 2 >> in.txt", files={"in.txt": "1"}, deps=["in.txt"])
    assert found == Findings(written=("in.txt",))


def test_a_file_that_is_moved_is_read_and_written(project):
    files = {"a": "1", "d/x": "1"}
    found = traced.found(project, "mv a out.txt; mv d e; cat e/x", files=files, outs=["out.txt"])
    assert found == Findings(read=("a", "d"), written=("a", "d", "e"))


def test_looking_at_files_without_opening_them_is_no_finding(project):
    files = {"a.txt": "1", "d/x": "1"}
    assert (
        traced.found(project, "ls -R . > /dev/null; test -f a.txt; stat d/x", files=files)
        == NOTHING
    )


def test_a_persistent_output_may_be_read_and_added_to(project):
    found = traced.found(
        project,
        "cat log >> log2; echo 1 >> log2; sort -o log2 log2",
        files={"log": "", "log2": ""},
        deps=["log"],
        outs=[{"log2": {"persist": True}}],
    )
    assert found == NOTHING


def test_paths_are_found_wherever_a_process_goes(project):
    files = {f"{folder}/{name}": "1" for folder in "abc" for name in ("x", "y", "z")}
    script = (
        "import os, threading, subprocess, multiprocessing\n"
        "d = os.open('a', os.O_RDONLY)\n"
        "os.close(os.open('x', os.O_RDONLY, dir_fd=d))\n"
        "def go():\n"
        "    os.fchdir(d); os.rename('y', 'moved')\n"
        "t = threading.Thread(target=go); t.start(); t.join()\n"
        "os.link('z', '../linked')\n"
        "subprocess.run(['sh', '-c', 'exec < x; cd ..; cat y > new'], cwd='../b')\n"
        "if __name__ == '__main__':\n"
        "    p = multiprocessing.get_context('fork').Process(target=os.unlink, args=('../c/z',))\n"
        "    p.start(); p.join()\n"
    )
    with tempfile.TemporaryDirectory() as outside:
        (Path(outside) / "s.py").write_text(script)
        found = traced.found(project, f"cd c && (cat x) && cd .. && {PYTHON} {outside}/s.py",
                       files={**files, "y": ""})  # fmt: skip
    assert found == Findings(
        read=("a/x", "a/y", "a/z", "b/x", "c/x", "y"),
        written=("a/moved", "a/y", "c/z", "linked", "new"),
    )


def test_commands_at_one_time_in_several_folders_keep_their_places(project):
    tool = shutil.copy("/bin/true", project.parent / "tool")
    names = [f"d{number}" for number in range(8)]
    for name in names:
        make.write(project, {f"{name}/x": ""})
        shutil.copy(tool, project / name / "tool")
    jobs = " ".join(f"(cd {n}; for i in 1 2 3; do ./tool; done; mv x y) &" for n in names)
    found = traced.found(project, f"{jobs} wait")
    assert found.read == tuple(sorted(f"{n}/{file}" for n in names for file in ("tool", "x")))
    assert found.written == tuple(sorted(f"{n}/{file}" for n in names for file in "xy"))


def test_links_into_the_cache_are_judged_by_their_name_in_the_workspace(project):
    make.write(project, {".dvc/config": "[cache]\n    type = symlink\n", "a": "1", "b": "2"})
    make.done(project, "add", "a", "b")
    assert (project / "a").is_symlink()
    assert traced.found(project, "cat a b", deps=["a"]) == Findings(read=("b",))


def test_a_link_leads_to_the_file_that_is_read(project, tmp_path):
    make.write(tmp_path / "elsewhere", {"x": "1"})
    make.write(project, {"v1/x": "1", "d/y": "1"})
    (project / "latest").symlink_to("v1")
    (project / "dep").symlink_to("d")
    (project / "outside").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "way in").symlink_to(project)
    command = (
        f"cat latest/x outside/x dep/y '{tmp_path}/way in/params.yaml'; ln -s v1 own; cat own/x"
    )
    found = traced.found(project, command, files={"params.yaml": ""}, deps=["dep"])
    assert found == Findings(
        read=("outside/x", "params.yaml", "v1/x"), written=("own",)
    )  # fmt: skip


def test_environments_and_bytecode_are_nobodys_dependency(project):
    files = {".venv/pyvenv.cfg": "", ".venv/lib/site.py": "", "x.egg-info/PKG-INFO": "",
             "src/__pycache__/m.txt": "", "node_modules/p/i.js": ""}  # fmt: skip
    command = "cat " + " ".join(files) + "; echo > .venv/new; echo > src/__pycache__/a"
    assert traced.found(project, command, files=files) == NOTHING


def test_a_program_of_the_repository_is_read_when_it_runs(project):
    tool = "#!/bin/sh\ntrue\n"
    make.write(project, {"bin/tool": tool, "bin/declared": tool})
    for name in ("tool", "declared"):
        (project / "bin" / name).chmod(0o755)
    found = traced.found(project, "./bin/tool; bin/declared", deps=["bin/declared"])
    assert found == Findings(read=("bin/tool",))


def test_a_stage_below_the_root_and_a_project_below_the_repository(tmp_path):
    repository = make.repository(tmp_path / "repository")
    make.write(repository, {"shared.py": "1", "p/w/in": "1", "p/lib.py": ""})
    workspace.init(repository / "p", subdir=True)
    found = traced.found(
        repository / "p", "cat in ../lib.py ../../shared.py > ../o", wdir="w", deps=["in"],
        outs=["../o"],
    )  # fmt: skip
    assert found == Findings(read=("../shared.py", "lib.py"))


def test_git_may_look_at_files_and_not_change_them(project):
    make.write(project, {"a": "1", "b": "1"})
    make.commit(project)
    files = {"a": "2", "b": "1"}
    command = "git status > /dev/null; git diff | grep -q 2"
    assert traced.found(project, command, files=files) == NOTHING
    assert traced.found(project, "git checkout -q -- a", files=files) == Findings(written=("a",))


def test_a_file_that_is_opened_to_be_changed_is_changed_only_if_it_was(project):
    make.write(project, dict.fromkeys(("changed", "same", "dep", "gone"), "1"))
    make.commit(project)
    for path in project.iterdir():
        os.utime(path, (1e9, 1e9))
    script = (
        "import os\n"
        "for name in ('changed', 'same', 'dep', 'gone', 'new'):\n"
        "    f = os.open(name, os.O_RDWR | os.O_CREAT)\n"
        "    if name == 'changed': os.write(f, b'2')\n"
        "os.unlink('gone'); os.unlink('new')\n"
    )
    found = traced.found(project, f'{PYTHON} -c "{script}"', deps=["dep"])
    assert found == Findings(read=("same",), written=("changed", "gone"))


def test_a_database_may_be_read(project):
    code = "import sqlite3; print(sqlite3.connect('x.db').execute('select * from t').fetchall())"
    with contextlib.closing(sqlite3.connect(project / "x.db")) as database:
        database.execute("create table t(a)")
    os.utime(project / "x.db", (1e9, 1e9))
    assert traced.found(project, f'{PYTHON} -c "{code}"', deps=["x.db"]) == NOTHING
    assert traced.found(project, f'{PYTHON} -c "{code}"') == Findings(read=("x.db",))


def test_the_exit_status_and_the_output_are_those_of_the_command(tmp_path):
    argv = strict.wrap(["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], tmp_path / "log")
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_the_words_name_the_files_and_say_what_to_do():
    found = Findings(read=("a.py", "b.py"), written=("log",))
    assert found.what == "it reads 'a.py' and 'b.py', undeclared; it changes 'log', undeclared"
    assert "'deps' or 'params' and 'outs'" in found.hint
    assert "outs" not in Findings(read=("a.py",)).hint


def test_many_findings_are_counted():
    words = Findings(read=tuple(f"{number:04}" for number in range(1500))).what
    assert words.endswith("'0011' and 1,488 more, undeclared")


def test_without_strace_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Error, match="there is no 'strace'") as caught:
        strict.available()
    assert "apt-get install strace" in (caught.value.hint or "")


def test_where_tracing_is_not_allowed_the_error_says_what_strace_says(monkeypatch, tmp_path):
    tool = tmp_path / "strace"
    tool.write_text(
        "#!/bin/sh\necho 'strace: PTRACE_TRACEME: Operation not permitted' >&2; exit 1\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(Error, match="Operation not permitted") as caught:
        strict.available()
    assert "--cap-add=SYS_PTRACE" in (caught.value.hint or "")


HIDDEN = {
    "dvc.yaml": """
stages:
  first: {cmd: cat in > one, deps: [in], outs: [one]}
  second: {cmd: cat one in > two; touch extra, deps: [one], outs: [two]}
""",
    "in": "1\n",
}


def test_a_stage_with_a_hidden_dependency_fails_and_leaves_all_as_it_was(project):
    make.write(project, HIDDEN)
    make.done(project, "repro")
    (project / "extra").unlink()
    make.write(project, {"in": "2\n"})
    shown = make.assay(project, "repro", "--strict", "-j", "2")
    assert shown.code == 255
    assert "stage 'second': it reads 'in', undeclared; it changes 'extra', undeclared" in shown.err
    assert "hint: add what belongs to it to 'deps'" in shown.err
    assert (project / "one").read_text() == "2\n"
    assert (project / "two").read_text() == "1\n1\n"
    assert "second" in make.done(project, "status", "--json")
    assert not [*(project / ".assay" / "work").iterdir()]
    assert make.done(project, "repro")


def test_an_interrupted_strict_run_leaves_no_process(project):
    seconds = f"{os.getpid() + 1000}.5"  # no other process sleeps so long
    cmd = f"echo begun; sleep {seconds}"
    make.write(project, {"dvc.yaml": f"stages:\n  s:\n    cmd: {cmd}\n"})
    with subprocess.Popen(
        make.command("repro", "--strict"), cwd=project, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "begun\n" in iter(process.stdout.readline, "")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if _says(p, seconds.encode())]
    assert left == []


def _says(file: Path, text: bytes) -> bool:
    try:
        return text in file.read_bytes()
    except OSError:
        return False


def test_on_another_system_the_error_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(Error, match="this is not Linux") as caught:
        strict.available()
    assert "without '--strict'" in (caught.value.hint or "")
