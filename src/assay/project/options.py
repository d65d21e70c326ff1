"""What options DVC's configuration has, and of what kind their values are.

Source: DVC 3.67's `config_schema`. Every real `dvc` command fails on an option or value that is
not in there, so nothing else is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from assay.base.errors import Usage, did_you_mean
from assay.base.settings import SETTINGS
from assay.objects.links import LINK_TYPES

Kind = Literal["text", "flag", "number", "count", "seconds", "path", "links", "group", "auth"]
"""What a value is; a `count` is a number that is at least 1, `seconds` may have a fraction."""


def _options(text: str = "", **others: str) -> dict[str, Kind]:
    found: dict[str, Kind] = dict.fromkeys(text.split(), "text")
    kinds: dict[str, Kind] = {"flags": "flag", "numbers": "number", "counts": "count",
                              "seconds": "seconds", "paths": "path"}  # fmt: skip
    for kind, names in others.items():
        found.update(dict.fromkeys(names.split(), kinds[kind]))
    return found


KEYS: dict[str, dict[str, Kind]] = {
    "core": _options(
        "remote site_cache_dir machine",
        counts="checksum_jobs",
        flags="interactive analytics hardlink_lock no_scm autostage check_update",
    ),
    "cache": _options(paths="dir", flags="slow_link_warning verify protected")
    | {"type": "links", "shared": "group"},
    "exp": _options("git_remote", flags="auto_push"),
    "plots": _options("html_template out_dir", flags="auto_open"),
    "parsing": _options("bool list"),
    "hydra": _options("config_dir config_module config_name plugins_path", flags="enabled"),
    "studio": _options("token url repo_url", flags="offline"),
    "state": _options("dir row_limit row_cleanup_quota"),
    "index": _options("dir"),
    "feature": _options(flags="machine"),
}
"""DVC's sections and options; those of a remote depend on its kind: `REMOTE`."""

_EVERY: dict[str, Kind] = _options(
    counts="jobs checksum_jobs",
    flags="worktree version_aware no_traverse verify",
) | {"url": "path"}

_HTTP: dict[str, Kind] = _options(
    "custom_auth_header user password ssl_verify method",
    flags="ask_password",
    seconds="connect_timeout read_timeout",
) | {"auth": "auth"}
_WEBDAV = _options(
    "user password token bearer_token_command custom_auth_header ssl_verify",
    flags="ask_password",
    numbers="timeout",
    paths="cert_path key_path",
)
_LOCAL: dict[str, Kind] = _options(flags="slow_link_warning protected") | {
    "type": "links",
    "shared": "group",
}
_WEBHDFS = _options(
    "kerberos_principal proxy_to ssl_verify token user password data_proxy_target",
    flags="kerberos use_https",
)

REMOTE: dict[str, dict[str, Kind]] = {
    "": _LOCAL,
    "file": _LOCAL,
    "s3": _options(
        "region profile endpointurl access_key_id secret_access_key session_token ssl_verify sse "
        "sse_kms_key_id sse_customer_algorithm sse_customer_key acl grant_read grant_read_acp "
        "grant_write_acp grant_full_control",
        paths="credentialpath configpath",
        flags="use_ssl allow_anonymous_login cache_regions listobjects",
        numbers="read_timeout connect_timeout",
    ),
    "gs": _options(
        "projectname endpointurl", paths="credentialpath", flags="allow_anonymous_login"
    ),
    "azure": _options(
        "connection_string sas_token account_name account_key tenant_id client_id client_secret",
        flags="allow_anonymous_login exclude_environment_credential "
        "exclude_visual_studio_code_credential exclude_shared_token_cache_credential "
        "exclude_managed_identity_credential",
        numbers="timeout read_timeout connection_timeout",
    ),
    "ssh": _options(
        "user password passphrase",
        paths="keyfile",
        flags="ask_password ask_passphrase gss_auth allow_agent",
        numbers="port timeout max_sessions",
    )
    | {"type": "links"},
    "http": _HTTP,
    "https": _HTTP,
    "webdav": _WEBDAV,
    "webdavs": _WEBDAV,
    "hdfs": _options("user kerb_ticket", numbers="replication"),
    "webhdfs": _WEBHDFS,
    "oss": _options("oss_key_id oss_key_secret oss_endpoint"),
    "gdrive": _options(
        "profile gdrive_client_id gdrive_client_secret gdrive_service_account_user_email",
        flags="gdrive_use_service_account gdrive_trash_only gdrive_acknowledge_abuse",
        paths="gdrive_user_credentials_file gdrive_service_account_json_file_path",
    ),
}
"""The options of a remote by the scheme of its address, beside those that every remote has."""

OURS = tuple(dict.fromkeys(key.partition(".")[0] for key in SETTINGS))
"""Sections of our own settings, which lie elsewhere."""


def scheme_of(url: str) -> str:
    """Return the scheme of an address; a folder has none."""
    return url.partition("://")[0].lower() if "://" in url else ""


def options_of(section: str, *, url: str | None = None) -> Mapping[str, Kind] | None:
    """Return the options of a section, or None where they are not known: any may be set.

    `url` is the address of the remote that a section `remote "NAME"` is about.
    """
    if '"' not in section:
        return KEYS.get(section)
    if not section.startswith("remote "):
        return _options("url username password")  # `db "NAME"`
    scheme = scheme_of(url or "")
    if scheme not in REMOTE:
        return None
    return _EVERY | REMOTE[scheme]


def kind_of(section: str, key: str, *, url: str | None = None) -> Kind:
    """Return the kind of an option; text where it is not known."""
    return (options_of(section, url=url) or _EVERY).get(key, "text")


def check_key(section: str, key: str, *, url: str | None = None) -> None:
    """Refuse a section or option that real DVC would fail on."""
    if '"' not in section and section not in KEYS:
        raise Usage(
            f"there is no section '{section}', neither of DVC's nor of ours",
            hint=did_you_mean(section, [*KEYS, *OURS]) or "see 'assay config --list'",
        )
    known = options_of(section, url=url)
    if known is not None and key not in known:
        name = section.partition('"')[2].rstrip('"')
        what = f"a remote such as '{name}' has" if name else f"the section '{section}' has"
        raise Usage(
            f"{what} no option '{key}'",
            hint=did_you_mean(key, known) or f"it has: {', '.join(sorted(known))}",
        )


def check_value(section: str, key: str, value: str, *, url: str | None = None) -> None:
    """Refuse a value that real DVC would fail on."""
    wanted = _wanted(kind_of(section, key, url=url), value)
    if wanted is not None:
        label = section.replace(' "', ".").rstrip('"')
        raise Usage(f"'{label}.{key}' is {value!r}, not {wanted}", hint="nothing was written")


def _wanted(kind: Kind, value: str) -> str | None:
    """Return what a value should be, in words; None where it is."""
    match kind:
        case "flag":
            return None if value.lower() in {"true", "false"} else "'true' or 'false'"
        case "number":
            return None if value.isascii() and value.isdigit() else "a whole number"
        case "count":
            fits = value.isascii() and value.isdigit() and int(value) >= 1
            return None if fits else "a whole number from 1"
        case "seconds":
            fits = re.fullmatch(r"\d+(\.\d*)?", value, re.ASCII) is not None
            return None if fits else "a number of seconds"
        case "group":
            return None if value.lower() == "group" else "'group'"
        case "auth":
            fits = value.lower() in {"basic", "digest", "custom"}
            return None if fits else "'basic', 'digest' or 'custom'"
        case "links":
            named = [part.strip() for part in value.split(",")]
            fits = all(part in LINK_TYPES for part in named)
            return None if fits else f"a list of {', '.join(LINK_TYPES)}"
        case _:
            return None
