"""Stages that run at the same time share one index."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assay.objects import scan
from assay.objects.index import Index


def test_threads_that_share_an_index_get_the_hashes_of_their_own_files(tmp_path: Path):
    files = [tmp_path / str(number) for number in range(60)]
    for path in files:
        path.write_text(path.name)
    index = Index(tmp_path / "index.db")

    def ask(seed: int) -> int:
        draw = random.Random(seed)
        wrong = 0
        for path in draw.choices(files, k=200):
            wrong += scan.scan(path, index).oid != hashlib.md5(path.name.encode()).hexdigest()
        return wrong

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [0] * 6
    index.close()
