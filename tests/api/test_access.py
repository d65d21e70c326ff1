"""Who may ask a hub: by token, by name, and not from a page of another site."""

from __future__ import annotations

import base64
import os
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.api.access import Access
from tests import make, mlflow
from tests.mlflow import Server
from tests.objects.remotes.servers import free_port

TOKEN = "a-token-of-the-team"
EXPERIMENT = "/api/2.0/mlflow/experiments/get?experiment_id=0"
TREE = "/api/2.0/mlflow-artifacts/artifacts"
CREATE = "/api/2.0/mlflow/runs/create"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hub with a token that listens for others, too."""
    folder = tmp_path_factory.mktemp("guarded")
    port = free_port()
    command = make.command(
        "hub", "--host", "0.0.0.0", "--port", str(port), "--directory", str(folder / "hub"),
        "--allow-host", "hub.example.org",
    )  # fmt: skip
    server = mlflow.start(command, folder, port=port, env={"ASSAY_TOKEN": TOKEN})
    try:
        server.wait()
        yield server
    finally:
        server.kill()


def basic(user: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN}"},
        basic("anybody", TOKEN),
        basic("", TOKEN),
    ],
)
def test_the_token_opens_the_hub(guarded: Server, headers: dict[str, str]):
    assert guarded.ask("GET", EXPERIMENT, headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer ü"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Basic !!!"},
        basic("user", "other"),
        basic(TOKEN, ""),
    ],
)
def test_nothing_else_opens_it(guarded: Server, headers: dict[str, str]):
    given = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    for path in (EXPERIMENT, "/metrics", "/none"):
        answer = guarded.ask("GET", path, headers=given)
        assert answer.status == 401
        assert answer.json()["error_code"] == "UNAUTHENTICATED"
        assert "www-authenticate" in answer.headers
    assert guarded.ask("POST", CREATE, {"experiment_id": "0"}, given).status == 401


def test_probes_need_no_token(guarded: Server):
    assert guarded.ask("GET", "/health").status == 200
    assert guarded.ask("GET", "/version").status == 200


def test_the_token_is_not_in_the_log(guarded: Server):
    guarded.ask("GET", f"{EXPERIMENT}&token={TOKEN}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert TOKEN not in guarded.said()


@pytest.mark.parametrize(
    "host",
    ["hub.example.org", "hub.example.org:80", "10.1.2.3", "[::1]:1", "[::1]", "localhost.",
     "localhost.:5000"],
)  # fmt: skip
def test_names_of_the_hub_and_addresses_are_its_own(guarded: Server, host: str):
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": host}
    assert guarded.ask("GET", EXPERIMENT, headers=headers).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:5000", "[::1].evil.example",
     "[::1]:1.evil.example", "localhost:evil.example", "[localhost"],
)  # fmt: skip
def test_a_name_that_is_not_the_hubs_is_refused(hub: Server, host: str):
    answer = hub.ask("GET", EXPERIMENT, headers={"Host": host})
    assert answer.status == 403
    assert "--allow-host" in answer.json()["message"]
    assert hub.ask("GET", "/health", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_cannot_write(hub: Server, headers: dict[str, str]):
    answer = hub.ask("POST", CREATE, {"experiment_id": "0"}, headers)
    assert answer.status == 403
    assert answer.json()["error_code"] == "PERMISSION_DENIED"
    assert hub.ask("GET", EXPERIMENT, headers=headers).status == 200


def test_a_page_of_the_hub_itself_can(hub: Server):
    headers = {"Origin": hub.url, "Sec-Fetch-Site": "same-origin"}
    assert hub.ask("POST", CREATE, {"experiment_id": "0"}, headers).status == 200


def test_two_headers_of_one_kind_do_not_help():
    access = Access(TOKEN)
    one = (b"authorization", f"Bearer {TOKEN}".encode())
    assert access.problem("GET", "/x", [one]) is None
    assert access.problem("GET", "/x", [(b"authorization", b"Bearer no"), one]) is not None


@pytest.mark.peer
@mlflow.needs("mlflow-skinny")
@pytest.mark.parametrize(
    "env",
    [
        {"MLFLOW_TRACKING_TOKEN": TOKEN},
        {"MLFLOW_TRACKING_USERNAME": "bob", "MLFLOW_TRACKING_PASSWORD": TOKEN},
    ],
)
def test_the_real_client_comes_in_with_its_settings(guarded: Server, env: dict[str, str]):
    script = "give(client.get_experiment('0').name)"
    assert mlflow.client(guarded.url, script, peer="mlflow-skinny", env=env) == "Default"


@pytest.mark.peer
@mlflow.needs("mlflow-skinny")
def test_the_real_client_without_a_token_is_told_so(guarded: Server):
    with pytest.raises(mlflow.Failed) as raised:
        mlflow.client(guarded.url, "client.get_experiment('0')", peer="mlflow-skinny")
    assert "no token, or a wrong one" in str(raised.value)
    with_user = guarded.url.replace("//", f"//bob:{TOKEN}@")
    script = "give(client.get_experiment('0').name)"
    assert mlflow.client(with_user, script, peer="mlflow-skinny") == "Default"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"POST {CREATE}", 401),
        (f"PUT {TREE}/0/r/artifacts/f", 401),
        ("GET /health", 200),
        ("POST /nowhere", 401),
    ],
)
def test_a_body_that_drips_does_not_keep_a_connection_that_was_answered(
    guarded: Server, line: str, status: int
):
    parts = urllib.parse.urlsplit(guarded.url)
    head = f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection((str(parts.hostname), parts.port), timeout=20) as opened:
        opened.sendall(head.encode())
        answer = opened.recv(4096)
        assert answer.startswith(f"HTTP/1.1 {status}".encode())
        assert b"connection: close" in answer.lower()
        opened.settimeout(0.2)
        for _ in range(100):  # 20 seconds
            try:
                opened.sendall(b"x")
                if opened.recv(4096) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("the connection is still open")


def test_a_client_that_sends_much_learns_why_it_was_refused(guarded: Server):
    answer = guarded.ask("PUT", f"{TREE}/0/r/artifacts/f", b"x" * 8_000_000)
    assert answer.status == 401
    assert "no token" in answer.json()["message"]


def test_a_token_that_ends_with_its_line_is_the_token(tmp_path: Path):
    with mlflow.hub(tmp_path, env={"ASSAY_TOKEN": f"{TOKEN}\n"}) as server:
        assert server.ask("GET", EXPERIMENT).status == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert server.ask("GET", EXPERIMENT, headers=headers).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_listened_for_without_a_token(tmp_path: Path, host: str):
    shown = make.assay(
        tmp_path, "hub", "--host", host, "--port", "0", "--directory", str(tmp_path / "hub")
    )  # fmt: skip
    assert shown.code == 2
    assert "others than this machine could ask without a token" in shown.err
    assert "ASSAY_TOKEN" in shown.err
    assert not (tmp_path / "hub").exists()


def test_a_short_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, "ASSAY_TOKEN", "short")
    shown = make.assay(tmp_path, "hub", "--port", "0", "--directory", str(tmp_path / "hub"))
    assert shown.code == 2
    assert "8 characters or more" in shown.err
    assert "short" not in shown.err.replace("shorter", "")


@pytest.mark.parametrize("blank", [" ", "   ", "\n", "\t \r\n"])
def test_a_blank_token_opens_no_server(
    tmp_path: Path, blank: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ASSAY_TOKEN", blank)
    hub = ("hub", "--port", "0", "--directory", str(tmp_path / "hub"))
    for arguments in (hub, ("serve", "e", "--port", "0")):
        shown = make.assay(tmp_path, *arguments)
        assert (shown.code, shown.out) == (2, "")
        assert "error: ASSAY_TOKEN: the token is blank" in shown.err
        assert "openssl rand -hex 24), or 'unset ASSAY_TOKEN'" in shown.err
    assert not (tmp_path / "hub").exists()


def test_an_empty_token_is_none(tmp_path: Path):
    with mlflow.hub(tmp_path, env={"ASSAY_TOKEN": ""}) as server:
        assert server.ask("GET", EXPERIMENT).status == 200
