"""S3, and every service that speaks it: MinIO, Ceph, R2, a bucket of one's own by `endpointurl`.

Needs `assay[s3]`. Credentials come from the options, the environment, or the files of the AWS
tools; what only boto3 can find (a role, single sign-on) is found by boto3, where it is installed.
"""

from __future__ import annotations

import os
from typing import Any

from assay.objects.remotes import RemoteSettings
from assay.objects.remotes.aws import Profile, bucket_region, read_profile
from assay.objects.remotes.bucket import BucketRemote
from assay.objects.remotes.bucket_store import make_store, place
from assay.objects.remotes.options import Options, missing_extra

KNOWN = frozenset(
    [
        "region",
        "profile",
        "credentialpath",
        "configpath",
        "endpointurl",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "use_ssl",
        "ssl_verify",
        "allow_anonymous_login",
        "sse",
        "sse_kms_key_id",
        "sse_customer_algorithm",
        "sse_customer_key",
        "cache_regions",
        "read_timeout",
        "connect_timeout",
    ]
)
_ACL = "remove it, and let the bucket's policy say who may read"
REFUSED = {
    "listobjects": "remove it: the service must know ListObjectsV2",
    **dict.fromkeys(
        ("acl", "grant_read", "grant_read_acp", "grant_write_acp", "grant_full_control"), _ACL
    ),
}


class S3Remote(BucketRemote):
    """A remote in a bucket of S3 or of a service that speaks it."""

    credentials_hint = (
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a 'profile', or "
        "'assay remote modify --local NAME access_key_id …' and 'secret_access_key …'"
    )

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN, refused=REFUSED)
        bucket, _ = place(options)
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise missing_extra(settings, extra="s3") from error
        profile = read_profile(options, os.environ)
        config, provider = _credentials(options, profile), None
        if profile.indirect and not config:
            provider = _boto3(options, profile)
        endpoint = _endpoint(options, profile)
        region = options.text("region") or profile.region
        if region is None and endpoint is None:
            region = bucket_region(bucket)
        config |= {"region": region or "us-east-1"} | _encryption(options)
        if endpoint is None and not options.flag("use_ssl", default=True):
            endpoint = f"http://s3.{config['region']}.amazonaws.com"
        if endpoint is not None:
            config["endpoint"] = endpoint
        store = make_store(S3Store, options, config, provider=provider)
        super().__init__(options, store, split=True)


def _credentials(options: Options, profile: Profile) -> dict[str, Any]:
    """Return what signs the requests; nothing where the environment or the machine has it."""
    if options.flag("allow_anonymous_login"):
        return {"skip_signature": True}
    key, secret = options.text("access_key_id"), options.text("secret_access_key")
    if (key is None) != (secret is None):
        missing = "secret_access_key" if secret is None else "access_key_id"
        raise options.fail(
            f"'{missing}' is missing beside the other half of the key",
            hint=f"assay remote modify --local {options.settings.name} {missing} …",
        )
    token = options.text("session_token")
    if key is None:
        key, secret, token = profile.key, profile.secret, token or profile.token
    found = {"access_key_id": key, "secret_access_key": secret, "session_token": token}
    return {name: value for name, value in found.items() if value is not None}


def _endpoint(options: Options, profile: Profile) -> str | None:
    endpoint = options.text("endpointurl") or profile.endpoint
    secure = options.flag("use_ssl", default=True)
    if endpoint is not None and "://" not in endpoint:
        endpoint = f"{'https' if secure else 'http'}://{endpoint}"
    return None if endpoint is None else endpoint.rstrip("/")


def _encryption(options: Options) -> dict[str, Any]:
    """Return how the service is to encrypt: with its key, with KMS's, or with the customer's."""
    sse, kms = options.text("sse"), options.text("sse_kms_key_id")
    customer = options.text("sse_customer_key")
    algorithm = options.text("sse_customer_algorithm")
    if customer is None and algorithm is not None:
        raise options.fail("'sse_customer_algorithm' needs 'sse_customer_key'")
    if customer is not None:
        if algorithm not in {None, "AES256"}:
            raise options.fail(f"'sse_customer_algorithm' is {algorithm!r}, not 'AES256'")
        if sse is not None or kms is not None:
            raise options.fail("'sse_customer_key' and 'sse' exclude each other")
        return {"server_side_encryption": "sse-c", "sse_customer_key_base64": customer}
    if sse is None and kms is None:
        return {}
    if sse not in {None, "AES256", "aws:kms", "aws:kms:dsse"}:
        raise options.fail(f"'sse' is {sse!r}, not 'AES256', 'aws:kms' or 'aws:kms:dsse'")
    if kms is not None and sse == "AES256":
        raise options.fail("'sse_kms_key_id' needs 'sse = aws:kms'")
    encryption = {"server_side_encryption": sse or "aws:kms"}
    return encryption if kms is None else {**encryption, "sse_kms_key_id": kms}


def _boto3(options: Options, profile: Profile) -> Any:
    """Return a provider that asks boto3, for profiles that name a role, a program or a portal."""
    try:
        import boto3
        import botocore.session
    except ImportError as error:
        raise options.fail(
            f"the profile '{profile.name}' takes its credentials from '{profile.indirect}', "
            "which needs boto3",
            hint="pip install boto3",
        ) from error
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = botocore.session.Session(profile=profile.name)
    for variable, option in (
        ("credentials_file", "credentialpath"),
        ("config_file", "configpath"),
    ):
        if (path := options.file(option)) is not None:
            session.set_config_variable(variable, str(path))
    return Boto3CredentialProvider(boto3.Session(botocore_session=session))
