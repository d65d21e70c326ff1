"""The options of a remote, each read as what it is; one that is not understood is an error.

An option is never passed over in silence: somebody who sets `sse` believes that it is on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from assay.base.errors import Error, did_you_mean
from assay.objects.remotes import RemoteSettings

EVERY = frozenset(
    {"url", "jobs", "checksum_jobs", "verify", "no_traverse", "version_aware", "worktree"}
)
"""What a remote of any kind may say; objects are always verified, so `verify` adds nothing."""

_SECRET = re.compile(r"secret|password|passphrase|token|key|connection_string|ticket|credential")


class Options:
    """The options of one remote.

    Parameters
    ----------
    settings : RemoteSettings
        The remote.
    known : collection of str
        What this kind of remote honours.
    refused : mapping of str to str
        What DVC knows and this kind cannot honour, with what to do instead.
    """

    def __init__(
        self,
        settings: RemoteSettings,
        *,
        known: frozenset[str],
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self._values = settings.options
        allowed = known | EVERY
        for name in self._values:
            if hint := (refused or {}).get(name):
                raise self.fail(f"the option '{name}' cannot be honoured", hint=hint)
            if name not in allowed:
                raise self.fail(
                    f"this kind of remote has no option '{name}'",
                    hint=did_you_mean(name, allowed)
                    or f"remove it with 'assay remote modify --unset {settings.name} {name}'",
                )

    def fail(self, what: str, *, hint: str | None = None) -> Error:
        """Return an error about the options."""
        return Error(what, where=self.settings.where, hint=hint)

    def text(self, name: str) -> str | None:
        """Return an option as it stands; an empty one is not given."""
        return self._values.get(name) or None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return an option that is true or false."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise self.fail(f"'{name}' is {value!r}, not 'true' or 'false'")
        return value.lower() == "true"

    def number(self, name: str) -> float | None:
        """Return an option that is a positive number."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if number <= 0:
            raise self.fail(f"'{name}' is {value!r}, not a number above 0")
        return number

    def count(self, name: str) -> int | None:
        """Return an option that is a whole number above 0."""
        number = self.number(name)
        if number is not None and number != int(number):
            raise self.fail(f"'{name}' is {self._values[name]!r}, not a whole number")
        return None if number is None else int(number)

    def file(self, name: str) -> Path | None:
        """Return an option that names a file that is there."""
        value = self.text(name)
        if value is None:
            return None
        path = Path(value).expanduser()
        if not path.is_file():
            raise self.fail(f"'{name}' names no file: {path}")
        return path

    def ssl_verify(self) -> bool | Path:
        """Return whether to check certificates, or the file of those to trust."""
        value = self.text("ssl_verify")
        if value is None or value.lower() in {"true", "false"}:
            return value is None or value.lower() == "true"
        path = self.file("ssl_verify")
        return True if path is None else path

    def password(self, name: str = "password", *, what: str = "password") -> str | None:
        """Return a password: the option, or what a person types where `ask_…` is true."""
        if not self.flag(f"ask_{name}"):
            return self.text(name)
        import getpass
        import sys

        if not sys.stdin.isatty():
            raise self.fail(
                f"'ask_{name}' is true, and there is nobody to ask: this is no terminal",
                hint=f"assay remote modify --local {self.settings.name} {name} …",
            )
        return getpass.getpass(f"{what} of remote '{self.settings.name}': ")

    def conceal(self, text: str) -> str:
        """Return a text without the secrets of this remote."""
        text = re.sub(r"(://)[^/@\s]*@", r"\1", text)
        text = re.sub(r"(https?://[^\s?]*)\?\S*", r"\1", text)
        secrets = {v for k, v in self._values.items() if len(v) > 3 and _SECRET.search(k)}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def missing_extra(settings: RemoteSettings, *, extra: str) -> Error:
    """Return the error that says which extra brings this kind of remote."""
    scheme = settings.url.partition("://")[0]
    return Error(
        f"a remote with '{scheme}://' needs a package that is not installed",
        where=settings.where,
        hint=f"pip install 'assay[{extra}]'",
    )
