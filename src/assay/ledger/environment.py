"""The environment of a run: what its results may depend on beside code and data.

Two parts that are compared apart: the *software* (interpreter and packages), which
`assay reproduce` wants to be equal, and the *host* (system, processor family, instructions,
threads), for which alone it promises equal bytes. Where things are installed is not in it, so
that two machines set up alike have one environment; only an archive or a repository that a
package came from is named.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import sys
from pathlib import Path

import msgspec

from assay.ledger import packages

THREAD_VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_NVIDIA = Path("/proc/driver/nvidia")
_INSTRUCTIONS = re.compile(r"(sse4_2|avx\w*|fma|f16c|amx_\w+|asimd\w*|sve\w*|i8mm|bf16)\Z")


class Software(msgspec.Struct, frozen=True, kw_only=True):
    """The interpreter and what is installed for it."""

    python: str  # "3.11.7"
    implementation: str  # "CPython"
    packages: tuple[str, ...]  # "name==version", "name @ URL", ...: assay.ledger.packages
    hash_seed: str | None  # PYTHONHASHSEED


class Host(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The machine, as far as the last digit of a sum may depend on it."""

    system: str  # "Linux"
    machine: str  # "x86_64"
    cpu: str  # the model's name
    cpu_family: str  # vendor and family, without the model
    instructions: tuple[str, ...]  # the vector instructions that numeric libraries choose by
    cores: int  # that this process may use
    threads: dict[str, str]  # the variables that limit them, where set
    gpus: tuple[str, ...] = ()  # the models of NVIDIA's cards
    gpu_driver: str | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Software and host of a run."""

    software: Software
    host: Host

    @property
    def content(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def oid(self) -> str:
        """The hash of the content, with its algorithm."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def capture() -> Environment:
    """Return the environment of this process."""
    return Environment(
        software=Software(
            python=platform.python_version(),
            implementation=platform.python_implementation(),
            packages=_packages(),
            hash_seed=os.environ.get("PYTHONHASHSEED"),
        ),
        host=_host(),
    )


def load(content: bytes | str) -> Environment:
    """Return the environment that `Environment.content` was written from."""
    return msgspec.json.decode(content, type=Environment)


def differences(current: Environment, recorded: Environment) -> list[str]:
    """Say in words where an environment is not the recorded one: software first, then host."""
    return software_differences(current.software, recorded.software) + host_differences(
        current.host, recorded.host
    )


def software_differences(current: Software, recorded: Software) -> list[str]:
    """Say in words where interpreter and packages are not the recorded ones.

    Examples
    --------
    >>> now = Software(python="3.11.7", implementation="CPython", packages=("numpy==2.4.6",),
    ...                hash_seed=None)
    >>> then = Software(python="3.11.7", implementation="CPython",
    ...                 packages=("numpy==2.3.0", "pandas==2.2.0"), hash_seed="0")
    >>> software_differences(now, then)
    ['numpy 2.4.6, recorded 2.3.0', 'pandas is missing, recorded 2.2.0', 'PYTHONHASHSEED is \
not set, recorded 0']
    """
    words = []
    if (current.implementation, current.python) != (recorded.implementation, recorded.python):
        words.append(
            f"{current.implementation} {current.python}, "
            f"recorded {recorded.implementation} {recorded.python}"
        )
    now, then = packages.versions(current.packages), packages.versions(recorded.packages)
    words += [_compared(name, now.get(name), then.get(name)) for name in sorted({*now, *then})]
    words.append(_set_to("PYTHONHASHSEED", current.hash_seed, recorded.hash_seed))
    return [word for word in words if word]


def host_differences(current: Host, recorded: Host) -> list[str]:
    """Say in words where the host is not alike; two models of one processor family are."""
    words = []
    for name in ("system", "machine", "cpu_family"):
        now, then = getattr(current, name), getattr(recorded, name)
        if now != then:
            words.append(f"{name.replace('_', ' ')} {now}, recorded {then}")
    for sign, these in (
        ("has", set(current.instructions) - set(recorded.instructions)),
        ("lacks", set(recorded.instructions) - set(current.instructions)),
    ):
        if these:
            words.append(f"the processor {sign} the instructions {', '.join(sorted(these))}")
    if current.cores != recorded.cores:
        words.append(f"{current.cores} cores, recorded {recorded.cores}")
    if current.gpus != recorded.gpus:
        words.append(f"graphics: {_cards(current)}, recorded {_cards(recorded)}")
    elif current.gpu_driver != recorded.gpu_driver:
        words.append(f"NVIDIA driver {current.gpu_driver}, recorded {recorded.gpu_driver}")
    words += [
        _set_to(name, current.threads.get(name), recorded.threads.get(name))
        for name in sorted({*current.threads, *recorded.threads})
    ]
    return [word for word in words if word]


def _compared(name: str, now: str | None, then: str | None) -> str:
    if packages.is_same(now, then):
        return ""
    if now is None:
        return f"{name} is missing, recorded {then}"
    return f"{name} {now}, recorded {then}" if then else f"{name} {now}, not recorded"


def _set_to(name: str, now: str | None, then: str | None) -> str:
    if now == then:
        return ""
    current = f"{name}={now}" if now is not None else f"{name} is not set"
    return f"{current}, recorded {then}" if then is not None else f"{current}, recorded unset"


def _cards(host: Host) -> str:
    return ", ".join(host.gpus) or "none"


def _packages() -> tuple[str, ...]:
    """Return what is installed; it is looked up again when a folder of packages has changed."""
    return _packages_of(tuple((place, _changed(place)) for place in sys.path))


def _changed(place: str) -> int | None:
    try:
        return os.stat(place or ".").st_mtime_ns  # noqa: PTH116 -- an entry may be empty
    except OSError:
        return None


@functools.lru_cache(maxsize=4)
def _packages_of(_places: tuple[tuple[str, int | None], ...]) -> tuple[str, ...]:
    return tuple(packages.installed())


def _host() -> Host:
    facts = _cpu_facts()
    vendor = facts.get("vendor_id") or facts.get("CPU implementer") or ""
    family = facts.get("cpu family") or facts.get("CPU architecture") or ""
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    machine = platform.machine()
    return Host(
        system=platform.system(),
        machine=machine,
        cpu=facts.get("model name") or platform.processor() or machine,
        cpu_family=f"{vendor} {family}".strip() or platform.processor() or machine,
        instructions=tuple(sorted({flag for flag in flags if _INSTRUCTIONS.match(flag)})),
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        threads={name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        gpus=_nvidia_cards(_NVIDIA),
        gpu_driver=_nvidia_driver(_NVIDIA),
    )


def _nvidia_cards(folder: Path) -> tuple[str, ...]:
    """Return the models of NVIDIA's graphics cards, as its driver tells them on Linux."""
    found = []
    for file in sorted(folder.glob("gpus/*/information")):
        with contextlib.suppress(OSError):
            text = file.read_text(encoding="utf-8", errors="replace")
            found += [
                value.strip()
                for name, _, value in (line.partition(":") for line in text.splitlines())
                if name.strip() == "Model"
            ]
    return tuple(found)


def _nvidia_driver(folder: Path) -> str | None:
    """Return the version of NVIDIA's driver, or None where there is none."""
    try:
        text = (folder / "version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"(?:Kernel Module|for \S+)\s+(\d+\.[\d.]+)", text)
    return match[1] if match else None


def _cpu_facts() -> dict[str, str]:
    """Return what Linux says of the first processor; nothing on another system."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n", 1)[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
