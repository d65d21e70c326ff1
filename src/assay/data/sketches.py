"""Sketches of Apache DataSketches as they stand in a profile: bytes with the name of their maker.

Sketches merge, and answer within a known error. Their bytes are not stable from one run to the
next, so nothing may hash them: `assay.data.profile.facts` leaves them out.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

KLL_K = 200  # normalised rank error 1.33 % at about 99 % confidence
HLL_LG_K = 12  # relative standard error 1.04 / sqrt(2^12) = 1.6 %
FREQUENT_LG_K = 10  # error <= 3.5 * weight / 2^10
FREQUENT_CAPACITY = 768  # items a map of 2^10 slots holds before it forgets any
FEW = 10_000  # up to here every distinct value goes through the sketch itself
COUNTED = 100_000  # up to here distinct values of many chunks are counted, not estimated
BLOCK = 1 << 15  # values hashed at a time, so that the temporaries stay in the processor's cache


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of one sketch, who made them and with which parameters."""

    library: str
    version: str
    kind: str  # "kll_doubles", "hll_4" or "frequent_strings"
    parameters: dict[str, int]
    data: str  # base64


def kll() -> Any:
    """Return a new, empty sketch of quantiles; its `update` takes an array of doubles."""
    import datasketches

    return datasketches.kll_doubles_sketch(KLL_K)


def dump_kll(sketch: Any) -> Sketch:
    """Return the stored form of a sketch of quantiles."""
    return _store("kll_doubles", {"k": sketch.k}, sketch.serialize())


def load_kll(sketch: Sketch, *, where: str = "") -> Any:
    """Return the live sketch of quantiles."""
    import datasketches

    return _restore(sketch, "kll_doubles", datasketches.kll_doubles_sketch, where)


def merge_kll(a: Sketch, b: Sketch) -> Sketch:
    """Return the sketch of both streams of values."""
    merged = load_kll(a)
    merged.merge(load_kll(b))
    return dump_kll(merged)


class DistinctCounter:
    """Collects the distinct 64-bit words of a column, chunk by chunk, for a HyperLogLog sketch.

    The library takes one value at a call. A sketch of 2^12 registers depends only on the word
    with the longest run of zeros in each, so these winners are found with NumPy, by the
    library's own hash, and only they are fed. So few words that they can all be fed are.
    """

    def __init__(self) -> None:
        import numpy as np

        self._words: Words | None = np.empty(0, np.uint64)
        self._longest = np.zeros(1 << HLL_LG_K, np.int64)
        self._winners: Words = np.zeros(1 << HLL_LG_K, np.uint64)
        self._n_chunks = self._n_words = 0

    @property
    def counted(self) -> int | None:
        """The number of distinct words where it is known; None where it has to be estimated."""
        if self._words is not None:
            return len(self._words)
        return self._n_words if self._n_chunks == 1 else None

    def add(self, words: Words) -> None:
        """Take one more chunk of the column, each of its words once."""
        import numpy as np

        self._n_chunks += 1
        self._n_words += len(words)
        if self._words is not None:
            words = np.union1d(self._words, words) if len(self._words) else words
            self._words = words if len(words) <= COUNTED else None
        if self._words is None:
            self._compete_all(words)

    def _compete_all(self, words: Words) -> None:
        for start in range(0, len(words), BLOCK):
            self._compete(words[start : start + BLOCK])

    def _compete(self, words: Words) -> None:
        import numpy as np

        low, high = murmur(words)
        register = (low & np.uint64((1 << HLL_LG_K) - 1)).astype(np.int64)
        zeros = 1 + leading_zeros(high)
        key = (zeros << 32) | np.arange(len(words))
        best = np.zeros(1 << HLL_LG_K, np.int64)
        np.maximum.at(best, register, key)
        wins = (best >> 32) > self._longest
        self._longest[wins] = best[wins] >> 32
        self._winners[wins] = words[best[wins] & 0xFFFF_FFFF]

    def sketch(self) -> Sketch:
        """Return the sketch of everything added so far."""
        import datasketches

        words = self._words
        if words is not None and len(words) > FEW:
            self._compete_all(words)
        if words is None or len(words) > FEW:
            words = self._winners[self._longest > 0]
        kind = datasketches.tgt_hll_type.HLL_4
        made = datasketches.hll_sketch(HLL_LG_K, kind)
        for word in words.view("int64").tolist():
            made.update(word)
        union = datasketches.hll_union(HLL_LG_K)
        union.update(made)
        # A second time: the union then forgets the estimate that depends on the order in which
        # values came, which is wrong where only the winners came.
        union.update(made)
        return _dump_hll(union.get_result(kind))


def merge_hll(a: Sketch, b: Sketch) -> Sketch:
    """Return the sketch of the union of both sets of values."""
    import datasketches

    union = datasketches.hll_union(HLL_LG_K)
    union.update(_restore(a, "hll_4", datasketches.hll_sketch, ""))
    union.update(_restore(b, "hll_4", datasketches.hll_sketch, ""))
    return _dump_hll(union.get_result(datasketches.tgt_hll_type.HLL_4))


def estimate_hll(sketch: Sketch) -> int:
    """Return the estimated number of distinct values."""
    import datasketches

    live = _restore(sketch, "hll_4", datasketches.hll_sketch, "")
    return round(float(live.get_estimate()))


def frequent(items: Iterable[tuple[str, int]]) -> Sketch:
    """Return a sketch of the most frequent texts, from values with their counts."""
    import datasketches

    made = datasketches.frequent_strings_sketch(FREQUENT_LG_K)
    for value, count in items:
        made.update(value, count)
    return _store("frequent_strings", {"lg_max_k": FREQUENT_LG_K}, made.serialize())


def merge_frequent(a: Sketch, b: Sketch) -> Sketch:
    """Return the sketch of both streams of texts."""
    import datasketches

    merged = _restore(a, "frequent_strings", datasketches.frequent_strings_sketch, "")
    merged.merge(_restore(b, "frequent_strings", datasketches.frequent_strings_sketch, ""))
    return _store("frequent_strings", {"lg_max_k": FREQUENT_LG_K}, merged.serialize())


def frequent_items(sketch: Sketch) -> tuple[list[tuple[str, int]], bool]:
    """Return the texts of a sketch with their counts, most frequent first, and whether exact."""
    import datasketches

    live = _restore(sketch, "frequent_strings", datasketches.frequent_strings_sketch, "")
    rows = live.get_frequent_items(datasketches.frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
    exact = all(lower == upper for _, _, lower, upper in rows)
    items = [(value, estimate) for value, estimate, _, _ in rows]
    return sorted(items, key=lambda item: (-item[1], item[0])), exact


def check(sketch: Sketch | None, *, where: str) -> None:
    """Raise unless the bytes of `sketch` are those of the kind it says it is."""
    import datasketches

    if sketch is None:
        return
    kinds = {
        "kll_doubles": datasketches.kll_doubles_sketch,
        "hll_4": datasketches.hll_sketch,
        "frequent_strings": datasketches.frequent_strings_sketch,
    }
    if sketch.kind not in kinds:
        raise Error(f"unknown kind of sketch {sketch.kind!r}", where=where, hint=REMAKE)
    _restore(sketch, sketch.kind, kinds[sketch.kind], where)


REMAKE = "make the profile again with 'assay profile'"


def murmur(words: Words) -> tuple[Words, Words]:
    """Return the two halves of MurmurHash3 x64 128 of 8-byte words, with the library's seed.

    References
    ----------
    Austin Appleby, MurmurHash3 (public domain); DataSketches' default seed 9001.
    """
    import numpy as np

    seed_and_size = np.uint64(9001 ^ 8)
    mixed = words * np.uint64(0x87C37B91114253D5)
    mixed = (mixed << np.uint64(31)) | (mixed >> np.uint64(33))
    low = (mixed * np.uint64(0x4CF5AD432745937F)) ^ seed_and_size
    low += seed_and_size
    high = low + seed_and_size
    low, high = _finish(low), _finish(high)
    low += high
    return low, high + low


def _finish(words: Words) -> Words:
    import numpy as np

    words = words ^ (words >> np.uint64(33))
    words *= np.uint64(0xFF51AFD7ED558CCD)
    words ^= words >> np.uint64(33)
    words *= np.uint64(0xC4CEB9FE1A85EC53)
    words ^= words >> np.uint64(33)
    return words


def leading_zeros(words: Words) -> NDArray[np.int64]:
    """Return the number of zero bits before the first one, at most 53: more never occur."""
    import numpy as np

    # The upper 53 bits fit a double exactly, whose exponent is their length.
    upper = (words >> np.uint64(11)).astype(np.float64)
    return 53 - np.frexp(upper)[1].astype(np.int64)


def _dump_hll(sketch: Any) -> Sketch:
    return _store("hll_4", {"lg_k": sketch.lg_config_k}, sketch.serialize_compact())


def _store(kind: str, parameters: dict[str, int], data: bytes) -> Sketch:
    return Sketch(
        library="datasketches",
        version=_version(),
        kind=kind,
        parameters=parameters,
        data=base64.b64encode(data).decode(),
    )


def _restore(sketch: Sketch, kind: str, maker: Any, where: str) -> Any:
    if sketch.kind != kind:
        raise Error(
            f"expected a sketch of kind {kind!r}, found {sketch.kind!r}", where=where, hint=REMAKE
        )
    try:
        return maker.deserialize(base64.b64decode(sketch.data, validate=True))
    except (binascii.Error, ValueError, RuntimeError, IndexError, MemoryError) as error:
        raise Error(
            f"the bytes of a {kind!r} sketch cannot be read",
            where=where or None,
            hint=REMAKE,
        ) from error


@functools.cache
def _version() -> str:
    from importlib.metadata import version

    return version("datasketches")
