"""Records come out of damaged bytes whole or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.traffic.framing import HEAD_SIZE, MAGIC, pack, scan

SEED = 7
payloads = st.lists(st.binary(max_size=40) | st.just(MAGIC * 8), max_size=6)


def found(data: bytes) -> list[bytes]:
    return [bytes(payload) for payload in scan(data, SEED).payloads]


def packed(given: list[bytes]) -> bytes:
    return b"".join(pack(payload, SEED) for payload in given)


@given(payloads)
def test_what_was_packed_is_found_in_order(given):
    result = scan(packed(given), SEED)

    assert [bytes(payload) for payload in result.payloads] == given
    assert (result.n_torn, result.n_corrupt) == (0, 0)


@given(payloads, st.data())
def test_a_torn_end_costs_the_last_record_only(given, data):
    whole = packed(given)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [len(packed(given[:number])) for number in range(len(given) + 1)]
    n_whole = max(number for number, end in enumerate(ends) if end <= cut)

    result = scan(whole[:cut], SEED)

    assert [bytes(payload) for payload in result.payloads] == given[:n_whole]
    assert (result.n_torn, result.n_corrupt) == (int(cut not in ends), 0)


@given(payloads.filter(len), st.data())
def test_a_changed_byte_costs_the_record_it_is_in_and_no_other(given, data):
    whole = bytearray(packed(given))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    hit = next(
        number for number in range(len(given)) if at < len(packed(given[: number + 1]))
    )  # fmt: skip

    result = scan(bytes(whole), SEED)

    assert [bytes(payload) for payload in result.payloads] == given[:hit] + given[hit + 1 :]
    assert result.n_torn + result.n_corrupt == 1


def test_a_record_hidden_in_a_value_is_not_taken_for_one():
    hidden = pack(b"forged", 0)  # a client does not know the seed
    whole = bytearray(packed([hidden, b"after"]))
    whole[0] ^= 1  # the head of the record that holds it

    assert found(bytes(whole)) == [b"after"]


def test_zeros_at_the_end_are_a_torn_record():
    whole = packed([b"one"]) + bytes(HEAD_SIZE * 3)

    result = scan(whole, SEED)

    assert (len(result.payloads), result.n_torn, result.n_corrupt) == (1, 1, 0)
