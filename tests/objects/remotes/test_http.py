"""A web server keeps the promises of remotes, but for a listing, which HTTP does not have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.objects.remotes import Remote, RemoteSettings, open_remote
from tests.kinds import check_remote
from tests.objects.remotes import servers, websites


@pytest.fixture
def web(tmp_path: Path) -> Iterator[websites.Web]:
    with websites.web(tmp_path / "web") as running:
        yield running


def opened(web: websites.Web, **options: str) -> Remote:
    return open_remote(RemoteSettings(name="st", url=web.url, options=options))


def ignore(_count: int) -> None:
    pass


def test_what_was_uploaded_can_be_found_and_downloaded(web: websites.Web, tmp_path: Path):
    contents = [b"", b"one", os.urandom(3_000_000)]
    items = [check_remote.item(tmp_path / "a", content) for content in contents]
    assert opened(web).upload(items, advance=ignore) == []
    keys = {one.key for one in items}
    assert opened(web).find([*keys, "files/md5/00/0"]) == keys
    there = [check_remote.elsewhere(one, tmp_path / "b") for one in items]
    assert opened(web).download(there, advance=ignore) == []
    assert [one.path.read_bytes() for one in there] == contents


def test_a_damaged_file_is_not_uploaded_and_is_named(web: websites.Web, tmp_path: Path):
    check_remote.check_a_damaged_file_is_not_uploaded_and_is_named(lambda: opened(web), tmp_path)


def test_the_last_bytes_of_a_damaged_large_file_are_never_sent(web: websites.Web, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", os.urandom(5_000_000))
    with one.path.open("r+b") as file:
        file.write(b"damaged")
    assert [d.item for d in opened(web).upload([one], advance=ignore)] == [one]
    assert opened(web).find([one.key]) == set()


def test_a_damaged_file_is_not_downloaded_and_is_named(web: websites.Web, tmp_path: Path):
    check_remote.check_a_damaged_file_is_not_downloaded_and_is_named(
        lambda: opened(web),
        tmp_path,
        lambda key: (web.folder / "store" / key).write_bytes(b"damaged"),
    )


def test_a_listing_is_refused_with_a_reason(web: websites.Web):
    with pytest.raises(Error, match="cannot list"):
        list(opened(web).list_("files/md5"))


def test_a_connection_is_kept_for_the_next_request(web: websites.Web, tmp_path: Path):
    with servers.breaking_proxy(web.port) as (port, plan):
        web.port = port
        remote = opened(web, jobs="1")
        items = [check_remote.item(tmp_path / "a", str(n).encode()) for n in range(20)]
        remote.upload(items, advance=ignore)
        assert len(remote.find([one.key for one in items])) == 20
        assert plan.connections == 1


@pytest.mark.parametrize("fault", [websites.cut, *map(websites.answer, (500, 503, 429))])
def test_what_breaks_off_is_asked_for_again(fault, web: websites.Web, tmp_path: Path):
    items = [check_remote.item(tmp_path / "a", os.urandom(100_000)) for _ in range(3)]
    websites.once(fault, web, times=2)
    assert opened(web).upload(items, advance=ignore) == []
    websites.once(fault, web, times=2)
    there = [check_remote.elsewhere(one, tmp_path / "b") for one in items]
    assert opened(web).download(there, advance=ignore) == []
    assert [one.path.read_bytes() for one in there] == [one.path.read_bytes() for one in items]


def test_what_arrived_before_a_final_failure_is_kept(web: websites.Web, tmp_path: Path):
    items = [check_remote.item(tmp_path / "a", str(n).encode()) for n in range(30)]
    opened(web).upload(items, advance=ignore)
    lost = items[20]
    web.faults.append(lambda handler: lost.key in handler.path and websites.answer(403)(handler))
    there = [check_remote.elsewhere(one, tmp_path / "b") for one in items]
    with pytest.raises(Error, match="the remote refuses"):
        opened(web, jobs="2").download(there, advance=ignore)
    arrived = [one for one in there if one.path.exists()]
    assert len(arrived) >= 15
    assert all(
        one.path.read_bytes()
        == (tmp_path / "a" / one.path.relative_to(tmp_path / "b")).read_bytes()
        for one in arrived
    )
    files = [p for p in (tmp_path / "b").rglob("*") if p.is_file()]
    assert sorted(files) == sorted(one.path for one in arrived)


def test_a_server_that_never_recovers_is_an_error(web: websites.Web, tmp_path: Path):
    web.faults.append(websites.answer(503))
    one = check_remote.item(tmp_path / "a", b"one")
    with pytest.raises(Error, match=r"answers 503 .*\(tried 5 times\)") as caught:
        opened(web).upload([one], advance=ignore)
    assert "run the command again" in (caught.value.hint or "")


def test_the_method_is_what_the_option_says(web: websites.Web, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    opened(web).upload([one], advance=ignore)
    opened(web, method="put").upload([one], advance=ignore)
    assert [method for method, _ in web.requests] == ["POST", "PUT"]


def test_a_server_without_head_is_asked_by_get(web: websites.Web, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", os.urandom(3_000_000))
    opened(web).upload([one], advance=ignore)
    refuse = websites.answer(405)
    web.faults.append(lambda handler: handler.command == "HEAD" and refuse(handler))
    assert opened(web).find([one.key, "nothing"]) == {one.key}


def test_basic_digest_and_custom_authentication_let_in(web: websites.Web, tmp_path: Path):
    items = [check_remote.item(tmp_path / "a", str(n).encode()) for n in range(20)]
    keys = [one.key for one in items]
    login = {"user": "ada", "password": "pa55word"}
    for auth, fault in (
        ("basic", websites.needs_basic("ada", "pa55word")),
        ("digest", websites.needs_digest("ada", "pa55word")),
    ):
        web.faults = [fault]
        assert opened(web, auth=auth, **login).upload(items, advance=ignore) == []
        assert opened(web, auth=auth, **login).find(keys) == set(keys)
        with pytest.raises(Error, match="the credentials are wrong") as caught:
            opened(web, auth=auth, user="ada", password="guess-it").upload(items, advance=ignore)
        assert "guess-it" not in str(caught.value)
        with pytest.raises(Error, match="the credentials are wrong or missing"):
            opened(web).find(keys)
    web.faults.clear()
    opened(web, auth="custom", custom_auth_header="X-Key", password="pa55word").find(keys[:1])
    assert web.headers[-1]["X-Key"] == "pa55word"


def test_user_and_password_of_the_address_count_and_are_not_shown(web: websites.Web):
    web.faults.append(websites.needs_basic("ada", "pa55word"))
    url = web.url.replace("://", "://ada:pa55word@")
    remote = open_remote(RemoteSettings(name="st", url=url))
    assert remote.find(["nothing"]) == set()
    with pytest.raises(NotFound) as caught:
        remote.get_file("nothing", Path(os.devnull))
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"auth": "kerberos"}, "'auth' is 'kerberos'"),
        ({"auth": "basic"}, "needs 'user' and 'password'"),
        ({"auth": "custom"}, "needs 'custom_auth_header'"),
        ({"ssl_verify": "/no/such/file"}, "'ssl_verify' names no file"),
        ({"read_timeout": "soon"}, "'read_timeout' is 'soon'"),
        ({"region": "x"}, "no option 'region'"),
    ],
)
def test_an_option_is_honoured_or_refused(options, said, web: websites.Web):
    with pytest.raises(Error, match=said):
        opened(web, **options)


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "the remote refuses"), (413, "takes no more"), (507, "takes no more"), (418, "418")],
)
def test_what_the_server_refuses_is_explained(status, said, web: websites.Web, tmp_path: Path):
    web.faults.append(websites.answer(status))
    one = check_remote.item(tmp_path / "a", b"one")
    with pytest.raises(Error, match=said) as caught:
        opened(web).upload([one], advance=ignore)
    assert caught.value.where == "remote 'st'"


def test_a_server_that_is_not_there_is_said_so(web: websites.Web):
    web.port = servers.free_port()
    with pytest.raises(Error, match="cannot be reached: connection refused"):
        opened(web).find(["a"])


def test_a_reader_follows_where_it_is_sent(web: websites.Web, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    opened(web).upload([one], advance=ignore)
    moved = websites.answer(302, Location=f"{web.url}/{one.key}")
    web.faults.append(lambda handler: handler.path.endswith("old") and moved(handler))
    assert opened(web).get_file("old", Path(os.devnull)) == (one.oid, 3)


def test_an_address_with_a_query_is_one_file(web: websites.Web, tmp_path: Path):
    one = check_remote.item(tmp_path / "a", b"one")
    opened(web).upload([one], advance=ignore)
    remote = open_remote(RemoteSettings(name="st", url=f"{web.url}/{one.key}?sig=s3cret"))
    assert remote.get_file("", Path(os.devnull)) == (one.oid, 3)
    assert web.requests[-1][1].endswith("?sig=s3cret")
    entry = remote.stat("")
    assert entry is not None
    assert (entry.size, entry.etag) == (3, one.oid)
    web.faults.append(websites.answer(404))
    with pytest.raises(NotFound) as caught:
        remote.get_file("", Path(os.devnull))
    assert "s3cret" not in str(caught.value)


def test_the_proxy_of_the_environment_is_used(web: websites.Web, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{web.port}")
    monkeypatch.setenv("no_proxy", "")
    remote = open_remote(RemoteSettings(name="st", url="http://far.invalid/store"))
    assert remote.find(["a"]) == set()
    assert web.requests == [("HEAD", "http://far.invalid/store/a")]


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_a_certificate_is_checked_as_the_option_says(kind: str, tmp_path: Path):
    pem = websites.certificate(tmp_path)
    one = check_remote.item(tmp_path / "a", b"one")
    with websites.web(tmp_path / "w", pem=pem) as web:
        url, options = web.url, dict[str, str]()
        if kind == "s3":
            options = {"endpointurl": url.removesuffix("/store"), **servers.KEYS}
            url = "s3://store"

        def upload(**given: str) -> None:
            settings = RemoteSettings(name="st", url=url, options=options | given)
            open_remote(settings).upload([one], advance=ignore)

        with pytest.raises(Error, match=r"certificate.*not trusted"):
            upload()
        upload(ssl_verify="false")
        upload(ssl_verify=str(pem))
    assert (web.folder / "store" / one.key).read_bytes() == b"one"
