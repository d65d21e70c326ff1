"""The real client of MLflow keeps files, models and data sets on the hub, and gets them back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make, mlflow
from tests.api.filing import TREE, Files
from tests.objects.remotes.servers import free_port

pytestmark = [pytest.mark.peer, mlflow.needs()]

_PARTS = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "5000000",
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "2000000",
}

_TREE = """
import pathlib, tempfile
folder = pathlib.Path(tempfile.mkdtemp())
def tree(of):
    files = [path for path in pathlib.Path(of).rglob("*") if path.is_file()]
    return {path.relative_to(of).as_posix(): path.read_bytes().decode() for path in files}
"""


def test_what_is_logged_is_listed_and_downloaded(client: mlflow.Session) -> None:
    listed, got, one = client.run(
        _TREE
        + """
for name, text in {"a.txt": "1", "empty": "", "d/b c.bin": "2", "d/e/ä.csv": "3"}.items():
    path = folder / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "in" / "a.txt"))
    mlflow.log_artifact(str(folder / "in" / "a.txt"), "deep/er")
    mlflow.log_artifacts(str(folder / "in"), "all")
    mlflow.log_text("text", "t/text.txt")
    mlflow.log_dict({"a": [1, 2]}, "t/dict.json")
    mlflow.log_dict({"a": [1, 2]}, "t/dict.yaml")
    mlflow.log_text("", "nothing.txt")
id = run.info.run_id
listed = {}
def walk(path):
    for info in client.list_artifacts(id, path):
        listed[info.path] = None if info.is_dir else info.file_size
        info.is_dir and walk(info.path)
walk(None)
(folder / "out").mkdir()
everything = mlflow.artifacts.download_artifacts(run_id=id, dst_path=str(folder / "out"))
one = mlflow.artifacts.download_artifacts(artifact_uri=f"runs:/{id}/all/d/b c.bin")
give([listed, tree(everything), open(one).read()])
"""
    )
    assert got == {
        "a.txt": "1", "deep/er/a.txt": "1", "all/a.txt": "1", "all/empty": "",
        "all/d/b c.bin": "2", "all/d/e/ä.csv": "3", "t/text.txt": "text",
        "t/dict.json": '{\n  "a": [\n    1,\n    2\n  ]\n}', "t/dict.yaml": "a:\n- 1\n- 2\n",
        "nothing.txt": "",
    }  # fmt: skip
    folders = {"all", "all/d", "all/d/e", "deep", "deep/er", "t"}
    sizes = {path: len(text.encode()) or None for path, text in got.items()}
    assert listed == dict.fromkeys(folders) | sizes
    assert one == "2"


def test_tables_figures_and_pictures_come_back(client: mlflow.Session) -> None:
    found = client.run(
        """
import numpy, PIL.Image
with mlflow.start_run() as run:
    mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "table.json")
    mlflow.log_table({"x": [3], "y": ["c"]}, "table.json")
    mlflow.log_image(PIL.Image.fromarray(numpy.zeros((2, 3), dtype="uint8")), "picture.png")
    mlflow.log_image(numpy.zeros((2, 3, 3), dtype="uint8"), key="dog", step=1)
    try:
        import matplotlib.figure
        mlflow.log_figure(matplotlib.figure.Figure(), "figure.png")
    except ImportError:
        pass
table = mlflow.load_table("table.json", run_ids=[run.info.run_id])
picture = mlflow.artifacts.load_image(f"{run.info.artifact_uri}/picture.png")
names = [info.path for info in client.list_artifacts(run.info.run_id)]
images = client.list_artifacts(run.info.run_id, "images")
give([table.to_dict("list"), picture.size, names, len(images)])
"""
    )
    assert found[0] == {"x": [1, 2, 3], "y": ["a", "b", "c"]}
    assert found[1] == [3, 2]
    assert {"images", "picture.png", "table.json"} <= set(found[2])
    assert found[3] >= 2


_NAMES = [
    "plain.txt", "a b", "ä.txt", "100%", "a%zz", "p q", "p%20q", "h", "h#1", "h#2", "q?x", "why",
    "why?", "Model:1", "model:1", "a+b&c=d", " lead", "x", "x;", "~t", "file:z", "a\\b", "%41",
    "A", "\uff0523", "#", "[::1", "tab\tname", "d?x/y#z/100%",
]  # fmt: skip


def test_any_name_that_somebody_kept_is_downloaded(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    files = Files(hub)
    for name in _NAMES:
        files.put(name, name.encode())
    got = client.run(
        _TREE
        + "give(tree(mlflow.artifacts.download_artifacts(run_id=run, dst_path=str(folder))))",
        run=files.run,
    )
    assert sorted(got.values()) == sorted(_NAMES)
    as_it_is = [name for name, text in got.items() if name == text]
    assert {"plain.txt", "a b", "ä.txt", "100%", "h", "q?x", "A", "a\\b"} <= set(as_it_is)


def test_names_that_the_client_cuts_are_as_with_mlflows_server(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    run = client.run(
        _TREE
        + """
with mlflow.start_run() as run:
    for name in ["h#1", "q?x", "p%20q", "100%", "why?", "plot#1.png"]:
        (folder / name).write_text(name)
        mlflow.log_artifact(str(folder / name))
    (folder / "plot#2.png").write_text("another")
    try:
        mlflow.log_artifact(str(folder / "plot#2.png"))
    except Exception as error:
        give([run.info.run_id, str(error)])
"""
    )
    query = urllib.parse.urlencode({"run_id": run[0]})
    found = hub.ask("GET", f"/api/2.0/mlflow/artifacts/list?{query}").json()["files"]
    assert [one["path"] for one in found] == ["100%", "h", "p q", "plot", "q?x", "why"]
    assert "whose name was cut" in run[1]
    assert hub.ask("GET", f"{TREE}/0/{run[0]}/artifacts/plot").body == b"plot#1.png"


def test_what_assay_kept_an_mlflow_client_reads(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    files = Files(hub)
    files.put("plots/a.json", b'{"a": 1}')
    got = client.run(
        'give(mlflow.artifacts.load_dict(f"runs:/{run}/plots/a.json"))', run=files.run
    )
    assert got == {"a": 1}


def test_artifacts_are_deleted(hub: mlflow.Server, client: mlflow.Session) -> None:
    files = Files(hub)
    for name in ("a", "d/b", "d/c"):
        files.put(name, b"x")
    client.run(
        """
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
repository = get_artifact_repository(f"mlflow-artifacts:/{root}")
repository.delete_artifacts("d")
""",
        root=files.root,
    )
    assert [one["path"] for one in files.list()] == ["a"]


def test_what_is_missing_or_climbs_out_is_an_error_of_mlflows(
    hub: mlflow.Server, client: mlflow.Session
) -> None:
    files = Files(hub)
    files.put("a", b"x")
    for path in ("no", "../x", "%2e%2e/x"):
        with pytest.raises(mlflow.Failed):
            client.run(
                "mlflow.artifacts.download_artifacts(run_id=run, artifact_path=path)",
                run=files.run, path=path,
            )  # fmt: skip
    for path in ("../x", "a/../../x", "/x"):
        with pytest.raises(mlflow.Failed):
            client.run("client.log_text(run, 'x', path)", run=files.run, path=path)
    assert [one["path"] for one in files.list()] == ["a"]


def test_skinny_keeps_files_too(skinny: mlflow.Session) -> None:
    got = skinny.run(
        _TREE
        + """
(folder / "a").write_text("1")
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "a"), "d")
    mlflow.log_text("2", "b.txt")
give(tree(mlflow.artifacts.download_artifacts(run_id=run.info.run_id)))
"""
    )
    assert got == {"d/a": "1", "b.txt": "2"}


@pytest.fixture
def in_parts(hub: mlflow.Server) -> Iterator[mlflow.Session]:
    """A client that uploads in parts what is larger than 5 MB."""
    with mlflow.session(hub.url, env=_PARTS) as opened:
        yield opened


def test_a_large_file_goes_in_parts(hub: mlflow.Server, in_parts: mlflow.Session) -> None:
    run, digest = in_parts.run(
        _TREE
        + """
import hashlib
content = os.urandom(7_000_001)
(folder / "h#1.bin").write_bytes(content)
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "h#1.bin"), "d")
give([run.info.run_id, hashlib.sha256(content).hexdigest()])
"""
    )
    found = hub.ask("GET", f"{TREE}/0/{run}/artifacts/d/h%231.bin").body
    assert hashlib.sha256(found).hexdigest() == digest
    assert "mpu/part" in hub.ask("GET", "/metrics").body.decode()


def test_parts_are_sent_with_the_token(tmp_path: Path) -> None:
    env = _PARTS | {"MLFLOW_TRACKING_TOKEN": "secret-token-of-the-team"}
    with mlflow.hub(tmp_path, env={"ASSAY_TOKEN": "secret-token-of-the-team"}) as hub:
        size = mlflow.client(
            hub.url,
            _TREE
            + """
(folder / "f").write_bytes(bytes(6_000_000))
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "f"))
file = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="f")
give(os.path.getsize(file))
""",
            env=env,
        )
        assert size == 6_000_000
        assert hub.ask("GET", "/metrics").status == 401


_BREAKS = (
    _TREE
    + """
import hashlib, mlflow.store.artifact.http_artifact_repo as http
content = os.urandom(12_000_003)
(folder / "big.bin").write_bytes(content)
sent, upload = [], {}
repository = http.HttpArtifactRepository
whole, begun = repository._upload_part, repository.create_multipart_upload
def part(credential, **of):
    if credential.part_number == 4:
        os.kill(pid, 9) if pid else None
        raise RuntimeError("the connection broke")
    sent.append(credential.part_number)
    return whole(credential, **of)
def begin(self, *of):
    answer = begun(self, *of)
    upload.setdefault("id", answer.upload_id)
    return answer
repository._upload_part = staticmethod(part)
repository.create_multipart_upload = begin
run = client.create_run("0").info.run_id
try:
    client.log_artifact(run, str(folder / "big.bin"))
    failed = None
except Exception as error:
    failed = type(error).__name__
repository._upload_part = staticmethod(whole)
"""
)


def test_an_upload_in_parts_that_breaks_leaves_no_file_and_can_be_done_again(
    hub: mlflow.Server, in_parts: mlflow.Session
) -> None:
    run, upload, failed, before, same = in_parts.run(
        _BREAKS
        + """
before = [one.path for one in client.list_artifacts(run)]
client.log_artifact(run, str(folder / "big.bin"))
got = mlflow.artifacts.download_artifacts(run_id=run, artifact_path="big.bin")
give([run, upload["id"], failed, before, open(got, "rb").read() == content])
""",
        pid=0,
    )
    assert failed == "MlflowException"
    assert before == []
    assert same
    tree = "/api/2.0/mlflow-artifacts/mpu/parts/"
    assert hub.ask("GET", tree + upload).status == 404  # the client gave it up
    assert [one["path"] for one in Files(hub, run=run).list()] == ["big.bin"]


def test_a_hub_that_is_killed_between_parts_has_no_half_of_a_file(tmp_path: Path) -> None:
    with mlflow.hub(tmp_path) as hub:
        run, upload = mlflow.client(
            hub.url, _BREAKS + 'give([run, upload["id"]])', env=_PARTS, pid=hub.process.pid
        )
    with mlflow.hub(tmp_path) as hub:
        files = Files(hub, run=run)
        assert files.list() == []
        there = hub.ask("GET", f"/api/2.0/mlflow-artifacts/mpu/parts/{upload}").json()
        assert there["num_parts"] == 7
        assert {one["size"] for one in there["parts"]} <= {2_000_000, 3}
        again = mlflow.client(
            hub.url,
            _TREE
            + """
(folder / "big.bin").write_bytes(bytes(12_000_003))
client.log_artifact(run, str(folder / "big.bin"))
give(os.path.getsize(mlflow.artifacts.download_artifacts(run_id=run, artifact_path="big.bin")))
""",
            env=_PARTS,
            run=run,
        )
        assert again == 12_000_003


def test_the_project_shows_what_a_client_kept_and_the_client_what_the_project_kept(
    project: Path,
) -> None:
    port = free_port()
    command = make.command("hub", "--port", str(port))
    with contextlib.ExitStack() as stack:
        hub = mlflow.start(command, project, port=port)
        stack.callback(hub.kill)
        hub.wait()
        run = mlflow.client(
            hub.url,
            "with mlflow.start_run() as run:\n"
            "    mlflow.log_text('a', 'd/a.txt')\n"
            "give(run.info.run_id)",
        )
        shown = json.loads(make.done(project, "runs", "show", run, "--json"))["run"]
        script = (
            "import assay, pathlib\n"
            "pathlib.Path('h#1').write_text('ours')\n"
            "with assay.run(name='n') as run:\n"
            "    assay.log_artifact('h#1')\n"
            "print(run.id)\n"
        )
        ours = subprocess.run(
            [sys.executable, "-c", script], cwd=project, check=True, capture_output=True, text=True
        ).stdout.strip()
        found = Files(hub, run=ours)
        assert [one["path"] for one in found.list()] == ["h#1"]
        assert found.get("h#1") == b"ours"
    assert [one["path"] for one in shown["artifacts"]] == ["d/a.txt"]
    oid = shown["artifacts"][0]["oid"].removeprefix("sha256:")
    assert oid == hashlib.sha256(b"a").hexdigest()
    assert (project / ".assay/objects/sha256" / oid[:2] / oid[2:]).read_bytes() == b"a"
