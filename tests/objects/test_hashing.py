from __future__ import annotations

import hashlib
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from assay.objects.hashing import CHUNK, hash_bytes, hash_file


@given(st.binary(max_size=300))
def test_the_hash_is_that_of_hashlib(content: bytes):
    assert hash_bytes(content) == hashlib.md5(content).hexdigest()
    assert hash_bytes(content, algorithm="sha256") == hashlib.sha256(content).hexdigest()


def test_a_file_is_hashed_copied_and_counted_in_one_read(tmp_path: Path):
    content = os.urandom(2 * CHUNK + 7)
    (tmp_path / "f").write_bytes(content)
    read: list[int] = []
    with (tmp_path / "copy").open("wb") as copy:
        oid, size = hash_file(tmp_path / "f", into=copy.fileno(), advance=read.append)
    assert (oid, size) == (hashlib.md5(content).hexdigest(), len(content))
    assert (tmp_path / "copy").read_bytes() == content
    assert sum(read) == size
