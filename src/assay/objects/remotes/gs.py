"""Google Cloud Storage. Needs `assay[gs]`.

Without `credentialpath` the application default credentials count, as for Google's own tools.
"""

from __future__ import annotations

from typing import Any

from assay.objects.remotes import RemoteSettings
from assay.objects.remotes.bucket import BucketRemote
from assay.objects.remotes.bucket_store import make_store
from assay.objects.remotes.options import Options, missing_extra

KNOWN = frozenset(
    ["projectname", "credentialpath", "endpointurl", "allow_anonymous_login"]
)  # a project owns a bucket; to move objects nobody asks for it


class GSRemote(BucketRemote):
    """A remote in a bucket of Google Cloud Storage."""

    credentials_hint = "set 'credentialpath', or run 'gcloud auth application-default login'"

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN)
        try:
            from obstore.store import GCSStore
        except ImportError as error:
            raise missing_extra(settings, extra="gs") from error
        config: dict[str, Any] = {}
        if options.flag("allow_anonymous_login"):
            config["skip_signature"] = True
            # a write asks the machine it runs on for a token, if it is given none
            config["bearer_token"] = "anonymous"  # noqa: S105 -- nobody's
        elif (path := options.file("credentialpath")) is not None:
            config["application_credentials"] = str(path)
        endpoint = options.text("endpointurl")
        if endpoint is not None:
            config["base_url"] = endpoint.rstrip("/")
        store = make_store(GCSStore, options, config)
        super().__init__(options, store, split=True)
