"""Google Cloud Storage and Azure keep the promises of every remote.

Azurite is the one; for the other stands moto, since Google's XML API is that of S3. Credentials
and errors are seen by a server of ours.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from assay.base.errors import Error
from assay.objects.remotes import RemoteSettings, open_remote
from tests.kinds import check_remote
from tests.objects.remotes import servers, websites

KEY = base64.b64encode(b"a secret of ours").decode()


Service = Callable[[str], RemoteSettings]
"""Gives the settings of a remote in a folder of a bucket."""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with servers.moto() as url:
        servers.open_to_all(url, "bucket")
        yield url


@pytest.fixture(scope="module")
def azurite() -> Iterator[str]:
    with servers.azurite() as url:
        servers.make_container(url, "bucket")
        yield url


@pytest.fixture(params=["gs", "azure"])
def service(request: pytest.FixtureRequest) -> Service:
    kind = request.param
    url = request.getfixturevalue("moto" if kind == "gs" else "azurite")
    options = {"connection_string": servers.connection_string(url)}
    if kind == "gs":
        options = {"endpointurl": url, "allow_anonymous_login": "true"}
    return lambda folder: RemoteSettings(
        name="st", url=f"{kind}://bucket/{folder}", options=options
    )


@pytest.mark.parametrize("check", check_remote.CHECKS, ids=lambda check: check.__name__)
def test_a_bucket_keeps_the_contract_of_remotes(check, service: Service, tmp_path: Path):
    check(lambda: open_remote(service(tmp_path.name)), tmp_path)


def test_a_bucket_hands_out_no_damaged_file(service: Service, tmp_path: Path):
    def damage(key: str) -> None:
        remote = open_remote(service(tmp_path.name))
        other = check_remote.item(tmp_path / "other", b"damaged")
        remote.remove([key])
        remote.upload([other._replace(key=key)], advance=ignore)

    check_remote.check_a_damaged_file_is_not_downloaded_and_is_named(
        lambda: open_remote(service(tmp_path.name)), tmp_path, damage
    )


def test_a_large_file_goes_in_parts_comes_back_and_goes(service: Service, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", os.urandom(20_000_000))
    remote = open_remote(service(tmp_path.name))
    assert remote.upload([one], advance=ignore) == []
    there = check_remote.elsewhere(one, tmp_path / "b")
    assert remote.download([there], advance=ignore) == []
    assert there.path.read_bytes() == one.path.read_bytes()
    remote.remove([one.key, "nothing"])
    assert list(remote.list_("")) == []


@pytest.mark.parametrize("size", [3_000_000, 12_000_000])
def test_a_connection_that_breaks_off_is_taken_up_again(
    size: int, service: Service, tmp_path: Path
):
    one = check_remote.item(tmp_path / "a", os.urandom(size))
    made = service(tmp_path.name)
    open_remote(made).upload([one], advance=ignore)
    there = check_remote.elsewhere(one, tmp_path / "b")
    [(name, address)] = [(k, v) for k, v in made.options.items() if "127.0.0.1" in v]
    port = re.search(r"127\.0\.0\.1:(\d+)", address)
    assert port is not None
    with servers.breaking_proxy(int(port[1])) as (other, plan):
        options = made.options | {name: address.replace(port[1], str(other))}
        remote = open_remote(msgspec.structs.replace(made, options=options))
        plan.cuts = [size // 3, size // 4]
        assert remote.download([there], advance=ignore) == []
        assert plan.cuts == []
    assert there.path.read_bytes() == one.path.read_bytes()


def test_a_bucket_that_is_not_there_is_said_so(service: Service, tmp_path: Path):
    made = service("x")
    absent = msgspec.structs.replace(made, url=made.url.replace("bucket", "no-such-bucket"))
    one = check_remote.item(tmp_path / "a", b"one")
    for ask in (
        lambda: open_remote(absent).upload([one], advance=ignore),
        lambda: open_remote(absent).find([one.key]),
        lambda: list(open_remote(absent).list_("")),
    ):
        with pytest.raises(Error, match="there is no bucket 'no-such-bucket'"):
            ask()


def test_another_key_of_the_account_is_refused(azurite: str, tmp_path: Path):
    wrong = base64.b64encode(b"another").decode()
    text = f"BlobEndpoint={azurite};AccountName={servers.ACCOUNT};AccountKey={wrong}"
    made = RemoteSettings(name="st", url="azure://bucket/x", options={"connection_string": text})
    one = check_remote.item(tmp_path / "a", b"one")
    said = r"access to 'bucket' is refused \(AuthorizationFailure\)"  # Azure: AuthenticationFailed
    with pytest.raises(Error, match=said) as caught:
        open_remote(made).upload([one], advance=ignore)
    assert wrong not in str(caught.value)
    assert caught.value.hint


@pytest.fixture
def web(tmp_path: Path) -> Iterator[websites.Web]:
    with websites.web(tmp_path / "web") as running:
        yield running


def settings(web: websites.Web, kind: str, **options: str) -> RemoteSettings:
    at = f"http://127.0.0.1:{web.port}"
    own = {
        "gs": {"endpointurl": at, "allow_anonymous_login": "true"},
        "azure": {"connection_string": f"BlobEndpoint={at};AccountName=acc;AccountKey={KEY}"},
    }
    return RemoteSettings(
        name="st", url=f"{kind}://place/some/folder", options=own[kind] | options
    )


def ignore(_count: int) -> None:
    pass


@pytest.mark.parametrize("kind", ["gs", "azure"])
def test_objects_go_below_the_address_and_come_back(kind: str, web: websites.Web, tmp_path: Path):
    items = [check_remote.item(tmp_path / "a", os.urandom(size)) for size in (0, 3, 1_000_000)]
    remote = open_remote(settings(web, kind))
    assert remote.upload(items, advance=ignore) == []
    assert (web.folder / "place" / "some" / "folder" / items[1].key).is_file()
    assert remote.find([items[1].key, "nothing"]) == {items[1].key}
    there = [check_remote.elsewhere(one, tmp_path / "b") for one in items]
    assert remote.download(there, advance=ignore) == []
    assert [one.path.read_bytes() for one in there] == [one.path.read_bytes() for one in items]


def test_the_key_of_the_account_signs(web: websites.Web, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    open_remote(settings(web, "azure")).upload([one], advance=ignore)
    signed = {name.lower(): value for name, value in web.headers[-1].items()}
    assert signed["authorization"].startswith("SharedKey acc:")


def test_a_shared_access_signature_is_sent_and_not_shown(web: websites.Web, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    at = f"BlobEndpoint=http://127.0.0.1:{web.port};AccountName=acc"
    made = settings(web, "azure", connection_string=at, sas_token="sv=1&sig=s3cret")
    open_remote(made).upload([one], advance=ignore)
    assert "sig=s3cret" in web.requests[-1][1]
    web.faults.append(websites.answer(400, "<Error><Code>Odd</Code></Error>"))
    with pytest.raises(Error, match="answers 400 Odd") as caught:
        open_remote(made).upload([one], advance=ignore)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "status", "code", "said"),
    [
        ("gs", 404, "NoSuchBucket", "there is no bucket 'place'"),
        ("azure", 404, "ContainerNotFound", "there is no bucket 'place'"),
        ("azure", 403, "AuthenticationFailed", "the credentials are wrong"),
        ("gs", 401, "Unauthorized", "the credentials are wrong"),
        ("gs", 403, "AccessDenied", "access to 'place' is refused"),
    ],
)
def test_what_a_service_refuses_is_explained(kind, status, code, said, web, tmp_path: Path):
    web.faults.append(websites.answer(status, f"<Error><Code>{code}</Code></Error>"))
    one = check_remote.item(tmp_path / "a", b"one")
    with pytest.raises(Error, match=said) as caught:
        open_remote(settings(web, kind)).upload([one], advance=ignore)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("gs", {"region": "x"}, "no option 'region'"),
        ("gs", {"allow_anonymous_login": "false", "credentialpath": "/no"}, "names no file"),
        ("azure", {"exclude_environment_credential": "true"}, "cannot be honoured"),
        ("azure", {"connection_string": "Nonsense=1"}, "names neither AccountName"),
        ("azure", {"connection_string": ""}, "name of the storage account is missing"),
    ],
)
def test_an_option_is_honoured_or_refused(kind, options, said, web: websites.Web, monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    with pytest.raises(Error, match=said):
        open_remote(settings(web, kind, **options))


def test_credentials_of_a_file_are_used(web: websites.Web, tmp_path: Path):
    """A file that is no credential is said to be none, and its content is not quoted."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps({"type": "odd", "private_key": "s3cret"}))
    with pytest.raises(Error) as caught:
        open_remote(settings(web, "gs", allow_anonymous_login="", credentialpath=str(file)))
    assert "s3cret" not in str(caught.value)
    assert caught.value.where == "remote 'st'"


def test_the_lock_of_azurite_has_hashes_and_no_address():
    text = (Path(__file__).parents[3] / "requirements/azurite/package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in one for name, one in packages.items() if name)
    assert len(packages) > 100
