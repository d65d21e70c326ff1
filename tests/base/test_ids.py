from __future__ import annotations

import uuid

from assay.base.ids import uuid7


def test_ids_keep_the_order_in_which_they_were_made():
    made = [uuid7(at_ms=at) for at in range(1_700_000_000_000, 1_700_000_000_100)]
    assert made == sorted(made)
    assert len(set(made)) == 100


def test_an_id_is_a_uuid_of_version_7_with_its_time():
    parsed = uuid.UUID(uuid7(at_ms=1_700_000_000_123))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_700_000_000_123
    assert uuid7() != uuid7()
