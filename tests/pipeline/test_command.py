from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.pipeline import command
from tests import make


def run(line: str, folder: Path, *, keep_lines: int = 200) -> tuple[command.Result, bytes]:
    said: list[bytes] = []
    result = command.run(
        line, cwd=folder, env=os.environ, echo=said.append, keep_lines=keep_lines
    )  # fmt: skip
    return result, b"".join(said)


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, f"{path.name} was not written"
        time.sleep(0.01)
    return path.read_text().strip()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_each_item_or_line_is_a_command():
    assert command.commands(["a", "b\nc"]) == ["a", "b\nc"]
    assert command.commands("a\n\n  \n b\n") == ["a", " b"]


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("cd sub\necho x > out\n", "x\n"),  # lines by themselves, as in DVC
        ("export x=5\necho $x > out\n", "\n"),
        ("for i in 1 2; do\n  echo $i\ndone > out\n", "1\n2\n"),
        ("x=5\nif true; then\n  echo $x > out\nfi\n", "5\n"),
        ("cat > out <<EOF\n$((1 + 1))\n  two\nEOF\n", "2\n  two\n"),
        ("cat > out <<'EOF'\n$x\nEOF\n", "$x\n"),
        ("echo one \\\n  two > out\n", "one two\n"),
        ("echo one |\n  cat > out\n", "one\n"),
        ("echo 'a\nb' > out\n", "a\nb\n"),
        ("f() {\n  echo in f > out\n}\nf\n", "in f\n"),
        ("true\nif false; then\n  echo\nfi\nfalse\necho no > out\n", None),
        ("echo $((1<<2)) > out\ncat out\n", "4\n"),
        ("echo 'for if' > out\necho \"do $(echo x)\" >> out\n", "for if\ndo x\n"),
    ],
)
def test_a_text_is_run_line_by_line_or_whole_where_a_line_is_a_part_of_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, text: str, made: str | None
):
    monkeypatch.setenv("SHELL", shell)
    make.write(tmp_path, {"sub/x": ""})
    for line in command.commands(text):
        if run(line, tmp_path)[0].exit_status:
            break
    out = tmp_path / "out"
    assert (out.read_text() if out.exists() else None) == made


def test_what_a_command_prints_goes_through_and_its_last_lines_are_kept(tmp_path: Path):
    result, said = run("echo one; echo two >&2; printf '\\377three'", tmp_path, keep_lines=2)
    assert said == b"one\ntwo\n\xffthree"
    assert result.tail == "two\n\N{REPLACEMENT CHARACTER}three"


def test_the_exit_status_is_that_of_the_shell_and_negative_for_a_signal(tmp_path: Path):
    assert run("exit 3", tmp_path)[0].exit_status == 3
    assert run("kill -TERM $$", tmp_path)[0].exit_status == -signal.SIGTERM


def test_the_peak_memory_is_that_of_the_largest_process_below(tmp_path: Path):
    code = """if True:
        import os, sys
        from pathlib import Path
        from assay.pipeline import command
        line, folder = sys.argv[1:]
        print(command.run(line, cwd=Path(folder), env=os.environ, echo=id).peak_memory)
    """
    line = f"true; {sys.executable} -S -c 'x = bytearray(200_000_000)'; true"
    # in a small process: Linux counts the one that starts a command in, and pytest's is large
    said = subprocess.check_output([sys.executable, "-c", code, line, tmp_path])
    assert 190e6 < int(said) < 400e6


def test_processor_time_counts_and_sleep_does_not(tmp_path: Path):
    result, _ = run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1", tmp_path)
    assert 0 < result.cpu_seconds < result.seconds + 1
    assert result.seconds >= 0.1


def test_a_command_cannot_wait_for_a_person(tmp_path: Path):
    assert run("read x", tmp_path)[0].exit_status == 1


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(Error, match="the folder does not exist") as caught:
        run("true", tmp_path / "gone")
    assert caught.value.where == str(tmp_path / "gone")


def test_the_shell_is_the_persons_without_their_start_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make.write(tmp_path, {"rc": "echo from-rc\n"})
    monkeypatch.setenv("BASH_ENV", "")
    monkeypatch.setenv("SHELL", "/bin/bash")
    result, _ = run("echo $BASH_VERSION; [[ a == a ]] && echo yes", tmp_path)
    assert result.tail.endswith("\nyes\n")
    monkeypatch.delenv("SHELL")
    assert run("echo fine", tmp_path)[0].tail == "fine\n"


def test_a_process_left_in_the_background_does_not_hold_the_command(tmp_path: Path):
    result, _ = run("sleep 60 & echo $! > pid; echo done", tmp_path)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert result.exit_status == 0
    assert result.tail == "done\n"


PARENT = """
import os, sys
from pathlib import Path
from assay.pipeline import command
from assay.pipeline.executors import local
try:
    command.run(sys.argv[1], cwd=Path.cwd(), env=os.environ, echo=lambda line: None)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stubborn", [False, True])
def test_an_interrupt_ends_the_whole_group(
    tmp_path: Path, number: signal.Signals, stubborn: bool, monkeypatch: pytest.MonkeyPatch
):
    trap = "trap '' INT TERM; " if stubborn else ""
    line = f"{trap}(sleep 60; true) & echo $! > child; echo $$ > leader; sleep 60; true"
    short = PARENT.replace("try:", "local._GRACE_SECONDS = 0.2\ntry:")
    with subprocess.Popen(
        [sys.executable, "-c", short, line], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as parent:
        pids = [int(wait_for(tmp_path / name)) for name in ("child", "leader")]
        parent.send_signal(number)
        assert parent.communicate(timeout=30)[0] == "interrupted\n"
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_command_ends_with_a_parent_that_is_killed(tmp_path: Path):
    # killed in its very first moment a command stays, until the next look ends what is left over
    line = "sleep 1; echo $$ > leader; sleep 60; true"
    with subprocess.Popen([sys.executable, "-c", PARENT, line], cwd=tmp_path) as parent:
        leader = int(wait_for(tmp_path / "leader"))
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 20
    while is_running(leader):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_leftovers_of_a_run_are_ended_and_those_of_others_are_not(tmp_path: Path):
    script = textwrap.dedent("import time; time.sleep(60)")
    with (
        subprocess.Popen([sys.executable, "-c", script], env={"ASSAY_RUN": "a1"}) as mine,
        subprocess.Popen([sys.executable, "-c", script], env={"ASSAY_RUN": "a12"}) as other,
    ):
        assert command.end_leftovers([]) == []
        assert command.end_leftovers(["a1"]) == [mine.pid]
        assert mine.wait(20) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_a_second_interrupt_does_not_wait_for_a_stubborn_command(tmp_path: Path):
    line = "trap '' INT TERM; echo $$ > leader; sleep 60; true"
    with subprocess.Popen([sys.executable, "-c", PARENT, line], cwd=tmp_path) as parent:
        leader = int(wait_for(tmp_path / "leader"))
        for _ in range(2):
            parent.send_signal(signal.SIGINT)
            time.sleep(0.3)
        parent.send_signal(signal.SIGTERM)
        parent.wait(timeout=4)  # each of the two politer signals alone would wait 5 s
    assert not is_running(leader)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path):
    line = "trap '' INT; sleep 600 & echo $! > pid; wait"
    done = command.run(line, cwd=tmp_path, env=os.environ, echo=lambda _: None, limit=0.5)
    assert done.is_over_limit
    assert done.exit_status != 0
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_command_within_its_limit_is_left_alone(tmp_path: Path):
    done = command.run("echo yes", cwd=tmp_path, env=os.environ, echo=lambda _: None, limit=60)
    assert (done.exit_status, done.is_over_limit, done.tail) == (0, False, "yes\n")
