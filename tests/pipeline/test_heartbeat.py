"""What a stage uses while it runs, and which Python it has."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from assay.ledger import runs, system
from assay.ledger.database import open_ledger
from tests import make, stages

BUSY = """
import subprocess, sys, time
x = bytearray(60_000_000)
child = "import time; x = bytearray(60_000_000); time.sleep(2.5)"
subprocess.run([sys.executable, "-S", "-c", child])
"""


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSAY_RUN_SYSTEM_METRICS")


def latest(folder: Path) -> tuple[runs.Run, dict[str, runs.Run]]:
    """Return the newest run, and those of its stages."""
    with open_ledger(folder / ".assay" / "ledger.db", create=False) as found:
        run = runs.get(found, "latest")
        children = [runs.get(found, child) for child in run.children]
    return run, {child.stage or "": child for child in children}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_stage_is_measured_with_all_its_processes_and_its_pipeline_is_not(tmp_path: Path):
    text = f"""
stages:
  busy:
    cmd: {sys.executable} -S busy.py
    deps: [busy.py]
  quick:
    cmd: "true"
"""
    folder = stages.pipeline(tmp_path / "project", text, {"busy.py": BUSY})
    make.done(folder, "repro")
    run, children = latest(folder)
    names = {"process_cpu_percent", "process_memory_bytes", "cpu_percent", "memory_bytes"}
    names |= {"memory_percent", "disk_free_bytes", "disk_percent"}
    assert set(children["busy"].metrics) == {f"system/{name}" for name in names}
    assert 120e6 < children["busy"].metrics["system/process_memory_bytes"].value < 1e9
    assert children["quick"].metrics == run.metrics == {}


def test_a_stage_is_not_measured_where_that_is_switched_off(tmp_path: Path):
    text = "stages: {waits: {cmd: sleep 2}}"
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "config", "run.system_metrics", "false")
    make.done(folder, "repro")
    assert latest(folder)[1]["waits"].metrics == {}


def test_a_reproduction_compares_no_metrics_of_the_machine(tmp_path: Path):
    text = "stages: {waits: {cmd: sleep 1.6; echo 1 > out, outs: [out]}}"
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    assert any(key.startswith(system.SYSTEM) for key in latest(folder)[1]["waits"].metrics)
    shown = make.assay(folder, "reproduce")
    assert shown.code == 0, shown.out + shown.err
    assert "system/" not in shown.out


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment beside Assay's own, with one package."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    install(folder, "Only.Here", "1.2")
    return folder


def install(folder: Path, name: str, version: str) -> None:
    [packages] = folder.glob("lib/python*/site-packages")
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    make.write(packages, {f"{name}-{version}.dist-info/METADATA": text})


@pytest.mark.parametrize("sdk", [False, True])
def test_a_stage_has_the_environment_of_the_python_that_runs_it(
    other: Path, tmp_path: Path, sdk: bool
):
    script = "import assay; assay.log_metric('a', 1)" if sdk else "print(1)"
    text = f"""
stages:
  theirs:
    cmd: A=1 {other}/bin/python st.py
    deps: [st.py]
  ours:
    cmd: {sys.executable} st.py
    deps: [st.py]
"""
    folder = stages.pipeline(tmp_path / "project", text, {"st.py": script})
    places = [str(Path(__file__).parents[2] / "src"), *(p for p in sys.path if "site-pack" in p)]
    env = {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "3"} if sdk else {}
    done = make.process(folder, "repro", env=env)
    assert done.code == 0, done.err
    run, children = latest(folder)
    assert run.environment is not None
    assert not any(one.startswith("only-here") for one in run.environment.software.packages)
    theirs = children["theirs"].environment
    assert theirs is not None
    assert "only-here==1.2" in theirs.software.packages
    assert theirs.software.python == ".".join(map(str, sys.version_info[:3]))
    assert theirs.host == run.environment.host
    if not sdk:
        assert children["ours"].environment is None


@pytest.mark.parametrize(
    ("cmd", "path"),
    [
        ("echo 1", "{other}/bin"),
        ("python st.py", "{other}/bin"),
        ("mkdir -p x && python st.py", "{other}/bin"),
        ("train", "{tools}"),
        ("env A=1 {other}/bin/python3 -u st.py", ""),
    ],
)
def test_the_python_of_a_command_is_found_by_its_first_word_and_by_the_path(
    other: Path, tmp_path: Path, cmd: str, path: str, monkeypatch: pytest.MonkeyPatch
):
    tools = tmp_path / "tools"
    make.write(tools, {"train": f"#!{other}/bin/python\nprint(1)\n"})
    (tools / "train").chmod(0o755)
    names = {"other": other, "tools": tools}
    monkeypatch.setenv("PATH", f"{path.format(**names)}{os.pathsep}{os.environ['PATH']}")
    text = f"stages: {{a: {{cmd: {cmd.format(**names)}}}}}"
    folder = stages.pipeline(tmp_path / "project", text, {"st.py": "print(1)"})
    make.done(folder, "repro")
    found = latest(folder)[1]["a"].environment
    assert found is not None
    assert "only-here==1.2" in found.software.packages


def test_what_is_installed_later_is_seen_and_a_launcher_is_not_guessed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = tmp_path / "venv"
    venv.create(other, with_pip=False, symlinks=True)
    monkeypatch.setenv("PATH", f"{other}/bin{os.pathsep}{os.environ['PATH']}")
    uv = tmp_path / "bin" / "uv"
    make.write(uv.parent, {"uv": "#!/bin/sh\n"})
    uv.chmod(0o755)
    text = f"stages: {{a: {{cmd: python -c 1}}, b: {{cmd: {uv} run python -c 1}}}}"
    folder = stages.pipeline(tmp_path / "project", text)
    for name in ("One", "Two"):
        install(other, name, "1")
        make.done(folder, "repro", "-f")
    children = latest(folder)[1]
    assert children["a"].environment is not None
    assert {"one==1", "two==1"} <= set(children["a"].environment.software.packages)
    assert children["b"].environment is None


def test_a_python_that_does_not_start_keeps_no_stage_from_running(tmp_path: Path):
    bad = tmp_path / "bin"
    make.write(bad, {"python": "#!/bin/sh\nexit 3\n"})
    (bad / "python").chmod(0o755)
    folder = stages.pipeline(tmp_path / "project", "stages: {a: {cmd: echo 1}}")
    env = {"PATH": f"{bad}{os.pathsep}{os.environ['PATH']}"}
    assert make.process(folder, "repro", env=env).code == 0
    assert latest(folder)[1]["a"].environment is None


def test_an_interpreter_is_asked_once(tmp_path: Path):
    bin_, asked = tmp_path / "bin", tmp_path / "asked"
    make.write(bin_, {"python": f'#!/bin/sh\necho 1 >> {asked}\nexec {sys.executable} "$@"\n'})
    (bin_ / "python").chmod(0o755)
    folder = stages.pipeline(tmp_path / "project", "stages: {a: {cmd: echo 1}, b: {cmd: echo 2}}")
    env = dict(os.environ, PATH=f"{bin_}{os.pathsep}{os.environ['PATH']}")
    for _ in range(2):
        subprocess.run(make.command("repro", "-f"), cwd=folder, env=env, check=True)
    assert asked.read_text() == "1\n"
    assert latest(folder)[1]["b"].environment is not None
