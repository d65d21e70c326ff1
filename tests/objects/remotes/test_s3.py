"""A bucket keeps the promises of every remote; moto is the service."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from assay.base.errors import Error, NotFound
from assay.objects.remotes import Item, RemoteSettings, open_remote
from tests.kinds import check_remote
from tests.objects.remotes import servers, websites

SECRET = servers.KEYS["secret_access_key"]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with servers.moto() as url:
        yield url


@pytest.fixture
def bucket(service: str, request: pytest.FixtureRequest) -> str:
    name = f"b{abs(hash(request.node.nodeid)) % 10**10}"
    servers.ask("PUT", f"{service}/{name}")
    return name


def settings(service: str, bucket: str, **options: str) -> RemoteSettings:
    every = {"endpointurl": service, **servers.KEYS, **options}
    return RemoteSettings(name="st", url=f"s3://{bucket}/some/folder", options=every)


def ignore(_count: int) -> None:
    pass


@pytest.mark.parametrize("check", check_remote.CHECKS, ids=lambda check: check.__name__)
def test_a_bucket_keeps_the_contract_of_remotes(check, service: str, bucket: str, tmp_path: Path):
    check(lambda: open_remote(settings(service, bucket)), tmp_path)


def test_a_bucket_hands_out_no_damaged_file(service: str, bucket: str, tmp_path: Path):
    check_remote.check_a_damaged_file_is_not_downloaded_and_is_named(
        lambda: open_remote(settings(service, bucket)),
        tmp_path,
        lambda key: servers.ask("PUT", f"{service}/{bucket}/some/folder/{key}", b"damaged"),
    )


def test_files_can_be_asked_for_read_and_removed(service: str, bucket: str, tmp_path: Path):
    remote = open_remote(settings(service, bucket))
    items = [check_remote.item(tmp_path / "a", b"one"), check_remote.item(tmp_path / "a", b"two")]
    remote.upload(items, advance=ignore)
    entry = remote.stat(items[0].key)
    assert entry is not None
    assert (entry.key, entry.size) == (items[0].key, 3)
    assert remote.stat("nothing") is None
    assert {e.key for e in remote.entries("files")} == {one.key for one in items}
    assert all(e.etag and e.modified for e in remote.entries(""))
    assert remote.get_file(items[1].key, Path(os.devnull)) == (items[1].oid, 3)
    with pytest.raises(NotFound, match="not on the remote"):
        remote.get_file("nothing", tmp_path / "x")
    remote.remove([items[0].key, "nothing"])
    assert remote.find([one.key for one in items]) == {items[1].key}


def large(folder: Path) -> Item:
    return check_remote.item(folder, os.urandom(20_000_000))


def uploads(service: str, bucket: str) -> bytes:
    return servers.ask("GET", f"{service}/{bucket}?uploads")


def test_a_large_file_goes_in_parts_and_comes_back(service: str, bucket: str, tmp_path: Path):
    one = large(tmp_path / "a")
    remote = open_remote(settings(service, bucket))
    assert remote.upload([one], advance=ignore) == []
    there = check_remote.elsewhere(one, tmp_path / "b")
    assert remote.download([there], advance=ignore) == []
    assert there.path.read_bytes() == one.path.read_bytes()


def test_a_damaged_large_file_leaves_neither_object_nor_parts(
    service: str, bucket: str, tmp_path: Path
):
    one = large(tmp_path / "a")
    with one.path.open("r+b") as file:
        file.write(b"damaged")
    remote = open_remote(settings(service, bucket))
    assert [d.item for d in remote.upload([one], advance=ignore)] == [one]
    assert list(remote.list_("")) == []
    assert b"<Upload>" not in uploads(service, bucket)


@pytest.mark.parametrize("size", [3_000_000, 12_000_000])
@pytest.mark.parametrize("upload", [False, True])
def test_a_connection_that_breaks_off_is_taken_up_again(
    size: int, upload: bool, service: str, bucket: str, tmp_path: Path
):
    one = check_remote.item(tmp_path / "a", os.urandom(size))
    there = check_remote.elsewhere(one, tmp_path / "b")
    with servers.breaking_proxy(urlsplit(service).port or 0) as (port, plan):
        remote = open_remote(settings(f"http://127.0.0.1:{port}", bucket))
        plan.upload = upload
        if upload:
            plan.cuts = [size // 3, size // 4]
        assert remote.upload([one], advance=ignore) == []
        if not upload:
            plan.cuts = [size // 3, size // 4]
        assert remote.download([there], advance=ignore) == []
        assert plan.cuts == []
    assert there.path.read_bytes() == one.path.read_bytes()
    assert b"<Upload>" not in uploads(service, bucket)


def test_many_keys_are_one_listing(service: str, bucket: str, tmp_path: Path):
    items = [check_remote.item(tmp_path / "a", str(n).encode()) for n in range(150)]
    open_remote(settings(service, bucket)).upload(items[:100], advance=ignore)
    found = open_remote(settings(service, bucket)).find([one.key for one in items])
    assert found == {one.key for one in items[:100]}


def failing(make: Any, tmp_path: Path) -> Error:
    one = check_remote.item(tmp_path / "a", b"one")
    with pytest.raises(Error) as caught:
        open_remote(make).upload([one], advance=ignore)
    assert SECRET not in str(caught.value)
    assert caught.value.where == "remote 'st'"
    assert caught.value.hint
    return caught.value


def test_no_such_bucket_is_said_so(service: str, tmp_path: Path):
    remote = settings(service, "no-such-bucket")
    assert "there is no bucket 'no-such-bucket'" in failing(remote, tmp_path).what
    with pytest.raises(Error, match="there is no bucket"):
        open_remote(remote).find(["files/md5/00/11"])
    with pytest.raises(Error, match="there is no bucket"):
        list(open_remote(remote).list_(""))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, "<Error><Code>InvalidAccessKeyId</Code></Error>", "the credentials are wrong"),
        (403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", "the credentials are wrong"),
        (403, "<Error><Code>AccessDenied</Code></Error>", "access to 'b' is refused"),
        (507, "<Error><Code>InsufficientStorage</Code></Error>", "takes no more"),
        (403, "<Error><Code>QuotaExceeded</Code></Error>", "takes no more"),
        (400, f"<Error><Code>Odd</Code><Message>No {SECRET}</Message></Error>", "answers 400 Odd"),
    ],
)
def test_what_the_service_refuses_is_explained(status: int, body: str, said: str, tmp_path: Path):
    with websites.web(tmp_path / "w") as state:
        state.faults.append(websites.answer(status, body))
        error = failing(settings(f"http://127.0.0.1:{state.port}", "b"), tmp_path)
    assert said in error.what


def test_a_service_that_asks_for_patience_gets_it(service: str, bucket: str, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    with websites.web(tmp_path / "w") as state:
        for status in (503, 429, 500):
            websites.once(websites.answer(status), state)
        remote = open_remote(settings(f"http://127.0.0.1:{state.port}", "b"))
        assert remote.upload([one], advance=ignore) == []
        assert [method for method, _ in state.requests] == ["PUT"] * 4


def test_a_service_that_is_not_there_is_said_so(tmp_path: Path):
    error = failing(settings(f"http://127.0.0.1:{servers.free_port()}", "b"), tmp_path)
    assert "cannot be reached: connection refused" in error.what


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"acl": "public-read"}, "the option 'acl' cannot be honoured"),
        ({"listobjects": "true"}, "cannot be honoured"),
        ({"regoin": "x"}, "no option 'regoin'"),
        ({"use_ssl": "maybe"}, "'use_ssl' is 'maybe', not 'true' or 'false'"),
        ({"jobs": "0"}, "not a number above 0"),
        ({"sse": "rot13"}, "'sse' is 'rot13'"),
        ({"sse": "AES256", "sse_kms_key_id": "k"}, "needs 'sse = aws:kms'"),
        ({"sse_customer_algorithm": "AES256"}, "needs 'sse_customer_key'"),
        ({"profile": "nobody"}, "there is no profile 'nobody'"),
        ({"credentialpath": "/no/such/file"}, "'credentialpath' names no file"),
        ({"secret_access_key": ""}, "'secret_access_key' is missing"),
        ({"version_aware": "true"}, "keeps files under their own names"),
    ],
)
def test_an_option_is_honoured_or_refused(options: dict[str, str], said: str):
    with pytest.raises(Error, match=said) as caught:
        open_remote(settings("http://127.0.0.1:1", "b", **options))
    assert SECRET not in str(caught.value)


def test_a_near_name_is_suggested():
    with pytest.raises(Error, match="did you mean 'region'"):
        open_remote(settings("http://127.0.0.1:1", "b", regoin="x"))


def sent_headers(tmp_path: Path, **options: str) -> dict[str, str]:
    one = check_remote.item(tmp_path / "a", b"one")
    with websites.web(tmp_path / "w") as state:
        made = settings(f"http://127.0.0.1:{state.port}", "b", **options)
        open_remote(made).upload([one], advance=ignore)
        return {name.lower(): value for name, value in state.headers[0].items()}


def test_encryption_is_asked_for(tmp_path: Path):
    headers = sent_headers(tmp_path, sse="aws:kms", sse_kms_key_id="the-key")
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "the-key"


def test_the_customers_key_is_sent(tmp_path: Path):
    key = base64.b64encode(b"k" * 32).decode()
    headers = sent_headers(tmp_path, sse_customer_key=key, sse_customer_algorithm="AES256")
    assert headers["x-amz-server-side-encryption-customer-key"] == key


def test_region_and_key_sign_a_request(tmp_path: Path):
    signed = sent_headers(tmp_path, region="eu-north-1", session_token="tok")
    assert f"Credential={servers.KEYS['access_key_id']}/" in signed["authorization"]
    assert "/eu-north-1/s3/" in signed["authorization"]
    assert signed["x-amz-security-token"] == "tok"


def test_an_anonymous_login_signs_nothing(tmp_path: Path):
    assert "authorization" not in sent_headers(tmp_path, allow_anonymous_login="true")


def test_a_profile_of_the_aws_files_counts(tmp_path: Path):
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text("[work]\naws_access_key_id = AKWORK\naws_secret_access_key = s\n")
    config.write_text("[profile work]\nregion = ap-south-1\n")
    options = {"profile": "work", "credentialpath": str(credentials), "configpath": str(config)}
    signed = sent_headers(tmp_path, access_key_id="", secret_access_key="", **options)
    assert "Credential=AKWORK/" in signed["authorization"]
    assert "/ap-south-1/s3/" in signed["authorization"]


def test_the_default_profile_counts_where_nothing_else_does(tmp_path: Path, monkeypatch):
    aws = tmp_path / "home" / ".aws"
    aws.mkdir(parents=True)
    (aws / "credentials").write_text("[default]\naws_access_key_id=AKD\naws_secret_access_key=s\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    signed = sent_headers(tmp_path, access_key_id="", secret_access_key="")
    assert "Credential=AKD/" in signed["authorization"]


def test_nothing_heavy_is_imported_before_a_bucket_is_opened():
    code = (
        "import sys; from assay.objects.remotes import RemoteSettings, kind_of; "
        "[kind_of(RemoteSettings(name='s', url=f'{k}://b/c')) "
        "for k in ('s3', 'gs', 'azure', 'ssh', 'https', 'webdav', 'hdfs')]; "
        "print(sorted({'obstore', 'asyncssh', 'fsspec', 'boto3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_named():
    code = (
        "import sys; sys.modules['obstore.store'] = None\n"
        "from assay.objects.remotes import RemoteSettings, open_remote\n"
        "try: open_remote(RemoteSettings(name='st', url='s3://b', options={'region': 'x'}))\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'assay[s3]'" in done.stdout


@pytest.mark.parametrize("n_keys", [1, 100])
def test_an_interruption_waits_for_no_answer(n_keys: int):
    code = (
        "from assay.objects.remotes import RemoteSettings, open_remote\n"
        "import socket, sys\n"
        "silent = socket.create_server(('127.0.0.1', 0))\n"
        "url = f'http://127.0.0.1:{silent.getsockname()[1]}'\n"
        f"options = {servers.KEYS!r} | {{'endpointurl': url, 'region': 'x'}}\n"
        "remote = open_remote(RemoteSettings(name='st', url='s3://b', options=options))\n"
        "try:\n"
        " print('asking', flush=True)\n"
        f" remote.find([f'a/b/{{n}}' for n in range({n_keys})])\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"asking\n"
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(20) == 130  # the answer would be given up after five minutes
    finally:
        process.kill()
        process.stdout.close()
