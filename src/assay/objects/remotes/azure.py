"""Azure Blob Storage: `azure://container/folder`. Needs `assay[azure]`.

Without a key or a token in the options those of the environment count, then the identity that
Azure gives to its own machines.
"""

from __future__ import annotations

import os
from typing import Any

from assay.objects.remotes import RemoteSettings
from assay.objects.remotes.bucket import BucketRemote
from assay.objects.remotes.bucket_store import make_store
from assay.objects.remotes.options import Options, missing_extra

_NAMES = {
    "account_name": "account_name",
    "account_key": "account_key",
    "sas_token": "sas_key",
    "tenant_id": "tenant_id",
    "client_id": "client_id",
    "client_secret": "client_secret",
}
KNOWN = frozenset(
    [
        *_NAMES,
        "connection_string",
        "allow_anonymous_login",
        "exclude_visual_studio_code_credential",  # both are never asked
        "exclude_shared_token_cache_credential",
        "timeout",
        "read_timeout",
        "connection_timeout",
    ]
)
_ENVIRONMENT = "unset the variables AZURE_… where Assay runs, and remove this option"
REFUSED = {
    "exclude_environment_credential": _ENVIRONMENT,
    "exclude_managed_identity_credential": "set 'account_key', 'sas_token' or a client secret: "
    "then no machine's identity is asked, and remove this option",
}


class AzureRemote(BucketRemote):
    """A remote in a container of Azure Blob Storage."""

    credentials_hint = (
        "set 'connection_string', or 'account_name' and 'account_key' or 'sas_token'"
    )

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN, refused=REFUSED)
        try:
            from obstore.store import AzureStore
        except ImportError as error:
            raise missing_extra(settings, extra="azure") from error
        config = _config(options)
        store = make_store(AzureStore, options, config)
        super().__init__(options, store, split=False)


def _config(options: Options) -> dict[str, Any]:
    """Return account and credentials for `obstore`."""
    config = {theirs: options.text(ours) for ours, theirs in _NAMES.items()}
    text = options.text("connection_string") or os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    connected = _connection(text, options) if text is not None else {}
    found: dict[str, Any] = {k: v for k, v in config.items() if v is not None}
    found = connected | found
    if "sas_key" in found:
        found["sas_key"] = found["sas_key"].removeprefix("?")
    if options.flag("allow_anonymous_login"):
        found["skip_signature"] = True
    if "account_name" not in found and "AZURE_STORAGE_ACCOUNT_NAME" not in os.environ:
        raise options.fail(
            "the name of the storage account is missing",
            hint=f"assay remote modify {options.settings.name} account_name …",
        )
    return found


def _connection(text: str, options: Options) -> dict[str, Any]:
    """Read a connection string: `AccountName=…;AccountKey=…;EndpointSuffix=…`."""
    parts = dict(part.partition("=")[::2] for part in text.strip().split(";") if part)
    if parts.get("UseDevelopmentStorage") == "true":
        return {"use_emulator": True, "endpoint": "http://127.0.0.1:10000/devstoreaccount1"}
    name = parts.get("AccountName")
    endpoint = parts.get("BlobEndpoint")
    if name is None and endpoint is None:
        raise options.fail("'connection_string' names neither AccountName nor BlobEndpoint")
    if endpoint is None and (suffix := parts.get("EndpointSuffix")):
        endpoint = f"{parts.get('DefaultEndpointsProtocol', 'https')}://{name}.blob.{suffix}"
    found = {
        "account_name": name,
        "account_key": parts.get("AccountKey"),
        "sas_key": parts.get("SharedAccessSignature"),
        "endpoint": endpoint.rstrip("/") if endpoint else None,
    }
    return {key: value for key, value in found.items() if value is not None}
