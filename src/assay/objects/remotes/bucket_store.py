"""Open a bucket with `obstore`: its address, how long to wait, how often to try, whom to trust."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from assay.objects.remotes.options import Options


def retry_config() -> dict[str, Any]:
    """Return how often `obstore` tries again, and after what wait."""
    return {
        "max_retries": 5,
        "retry_timeout": timedelta(minutes=3),
        "backoff": {
            "init_backoff": timedelta(milliseconds=200),
            "max_backoff": timedelta(seconds=15),
            "base": 2,
        },
    }


def client_options(options: Options, *, endpoint: str | None) -> dict[str, Any]:
    """Return certificates, time-outs and whether plain HTTP is allowed, for `obstore`."""
    read = options.number("read_timeout") or options.number("timeout")
    connect = options.number("connect_timeout") or options.number("connection_timeout")
    client: dict[str, Any] = {
        "timeout": timedelta(days=7),  # of a whole transfer; what stalls is found by the next
        "read_timeout": timedelta(seconds=read or 60),
        "connect_timeout": timedelta(seconds=connect or 10),
    }
    if endpoint is not None and endpoint.startswith("http://"):
        client["allow_http"] = True
    verify = options.ssl_verify()
    if verify is False:
        client["allow_invalid_certificates"] = True
    elif verify is not True:
        client["root_certificate"] = verify.read_bytes()
    return client


def place(options: Options) -> tuple[str, str | None]:
    """Return the bucket and the prefix of an address such as `s3://bucket/some/folder`."""
    parts = urlsplit(options.settings.url)
    bucket = parts.netloc.rpartition("@")[2]
    if not bucket:
        raise options.fail(
            "its address names no bucket",
            hint=f"give one such as '{parts.scheme}://bucket/folder'",
        )
    return bucket, parts.path.strip("/") or None


def make_store(
    make: Any, options: Options, config: dict[str, Any], *, provider: Any = None
) -> Any:
    """Return the store of `obstore` for the address of a remote; `make` is its class."""
    from obstore.exceptions import BaseError

    bucket, prefix = place(options)
    endpoint = config.get("endpoint") or config.get("base_url")
    try:
        return make(
            bucket,
            prefix=prefix,
            config=config,
            client_options=client_options(options, endpoint=endpoint),
            retry_config=retry_config(),
            credential_provider=provider,
        )
    except (BaseError, ValueError, OSError) as error:
        reason = options.conceal(str(error).partition("\n")[0])
        raise options.fail(
            "the remote cannot be opened: " + re.sub(r"`[^`]*`", "'…'", reason),  # may be a key
            hint="look at its address and credentials",
        ) from None
