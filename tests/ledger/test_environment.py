"""The environment of a run: the same here and now has one oid, what differs is said in words."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import msgspec
import pytest

from assay.ledger import environment, packages
from assay.ledger.environment import Environment

NOW = environment.capture()


def changed(part: str, **fields: object) -> Environment:
    now = getattr(NOW, part)
    return msgspec.structs.replace(NOW, **{part: msgspec.structs.replace(now, **fields)})


def test_what_is_installed_is_in_it_and_where_is_not():
    import numpy as np

    found = NOW.software.packages
    assert f"numpy=={np.__version__}" in found
    assert list(found) == sorted(found, key=lambda one: packages.parse(one)[0])
    assert sys.prefix not in NOW.content.decode()


def test_its_oid_is_the_hash_of_its_canonical_json():
    plain = json.loads(NOW.content)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert NOW.content.decode() == canonical
    assert NOW.oid == f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
    assert environment.load(NOW.content) == NOW
    assert environment.differences(NOW, NOW) == []


def test_the_limits_of_threads_are_in_it():
    code = """if True:
        from assay.ledger.environment import capture
        now = capture()
        print(now.host.threads, now.software.hash_seed)
    """
    limits = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **limits},
    )
    assert done.stdout.split("}")[0].endswith("'OMP_NUM_THREADS': '1'")
    assert done.stdout.strip().endswith(" 7")


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (changed("host", cores=64), f"{NOW.host.cores} cores, recorded 64"),
        (changed("host", cpu_family="Acme 1"), f"{NOW.host.cpu_family}, recorded Acme 1"),
        (changed("host", cpu="another model of the family"), None),
        (changed("host", instructions=("magic",)), "lacks the instructions magic"),
        (changed("host", threads={"OMP_NUM_THREADS": "3"}), "recorded 3"),
        (changed("software", python="2.7.18"), "recorded CPython 2.7.18"),
        (changed("software", packages=(*NOW.software.packages, "zzz==1")), "zzz is missing"),
        (changed("software", packages=()), "numpy 2"),
    ],
)
def test_a_difference_is_said_in_words(recorded: Environment, words: str | None):
    said = environment.differences(NOW, recorded)
    assert (not said) if words is None else any(words in one for one in said)
