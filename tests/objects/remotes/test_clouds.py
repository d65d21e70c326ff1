"""Google Cloud Storage and Azure: addresses, credentials and errors, against a server of ours.

Emulators of the two are no Python packages. What they share with S3 is tested with moto.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.objects.remotes import RemoteSettings, open_remote
from tests.kinds import check_remote
from tests.objects.remotes import websites

KEY = base64.b64encode(b"a secret of ours").decode()


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
