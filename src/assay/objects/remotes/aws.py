"""What the files of the AWS tools say: credentials and region of a profile, region of a bucket.

Source: AWS SDKs and Tools Reference Guide, 'Shared config and credentials files'.
"""

from __future__ import annotations

import configparser
import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from assay.base.errors import did_you_mean
from assay.objects.remotes.options import Options

_INDIRECT = ("role_arn", "credential_process", "sso_session", "sso_start_url", "login_session")


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of credentials; `indirect` is the option by which others are fetched."""

    name: str
    key: str | None = None
    secret: str | None = None
    token: str | None = None
    region: str | None = None
    endpoint: str | None = None
    indirect: str | None = None


def read_profile(options: Options, environment: Mapping[str, str]) -> Profile:
    """Return the profile that counts: the option's, `AWS_PROFILE`'s, or the one called 'default'.

    The environment's own key goes before a profile that nobody named. A named one that is in no
    file is an error.
    """
    named = options.text("profile") or environment.get("AWS_PROFILE")
    name = named or "default"
    merged: dict[str, str] = {}
    known: set[str] = set()
    for path, form in _files(options, environment):
        sections = _read(path, options)
        known |= {section.removeprefix("profile ") for section in sections}
        section = form.format(name) if name != "default" else "default"
        merged |= sections.get(section, sections.get(f"profile {name}", {}))
    if named and name not in known:
        raise options.fail(
            f"there is no profile '{name}' in the files of AWS",
            hint=did_you_mean(name, known) or f"make it with 'aws configure --profile {name}'",
        )
    own = "AWS_ACCESS_KEY_ID" in environment and not options.text("profile")
    direct = {} if own else merged
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    return Profile(
        name=name,
        key=direct.get("aws_access_key_id"),
        secret=direct.get("aws_secret_access_key"),
        token=direct.get("aws_session_token"),
        region=region or merged.get("region"),
        endpoint=endpoint or merged.get("endpoint_url"),
        indirect=next((option for option in _INDIRECT if option in direct), None),
    )


def _files(options: Options, environment: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Return the two files, the stronger one last, and how a profile is named in each."""
    home = Path(environment.get("HOME", "~")).expanduser() / ".aws"
    config = options.file("configpath") or environment.get("AWS_CONFIG_FILE") or home / "config"
    credentials = (
        options.file("credentialpath")
        or environment.get("AWS_SHARED_CREDENTIALS_FILE")
        or home / "credentials"
    )
    return [(Path(config), "profile {}"), (Path(credentials), "{}")]


def _read(path: Path, options: Options) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(default_section="\0")
    try:
        parser.read_string(path.expanduser().read_text(encoding="utf-8"), source=str(path))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = type(error).__name__  # the text of the error may quote a key
        raise options.fail(f"the file of AWS profiles '{path}' cannot be read: {reason}") from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


def bucket_region(bucket: str) -> str | None:
    """Ask Amazon where a bucket lies, without credentials; None if it does not say."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    request = Request(f"https://s3.amazonaws.com/{bucket}", method="HEAD")
    region: str | None = None
    with contextlib.suppress(URLError, OSError):
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310 -- https, as written
                region = answer.headers.get("x-amz-bucket-region")
        except HTTPError as refused:  # the region is told to strangers, too
            with refused:
                region = refused.headers.get("x-amz-bucket-region")
    return region
