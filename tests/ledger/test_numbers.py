"""Numbers of versions: given once as long as a model is there, and anew after it was deleted."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.ledger import decisions, deleting, lineage, models, purge
from assay.ledger.database import Ledger
from assay.ledger.deployments import add_deployment
from assay.ledger.model_names import NoModel, NoVersion
from assay.ledger.writer import Writer

anew = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None
)


@anew
@given(gone=st.lists(st.integers(0, 3), max_size=8))
def test_no_number_is_given_twice_as_long_as_there_is_the_model(ledger: Ledger, gone: list[int]):
    given_ = [models.register(ledger, "m").number]
    for place in gone:
        number = given_[place % len(given_)]
        try:
            models.delete_version(ledger, f"m/{number}")
        except NoVersion:
            continue
        given_.append(models.register(ledger, "m").number)
    assert given_ == list(range(1, len(given_) + 1))
    models.delete_model(ledger, "m")


def test_a_purge_gives_no_number_back(ledger: Ledger, writer: Writer, run: str):
    writer.finish_run(run, status="finished")
    models.register(ledger, "m", bundle="sha256:1", run=run)
    models.delete_version(ledger, "m/1")
    deleting.delete(ledger, [run])
    purge.purge(ledger, purge.find(ledger), at=9)
    assert models.register(ledger, "m").number == 2


def test_the_numbers_of_a_deleted_model_begin_anew(ledger: Ledger):
    for _ in range(2):
        models.register(ledger, "m", bundle="sha256:1")
    models.delete_version(ledger, "m/2")
    models.delete_model(ledger, "m")
    assert models.register(ledger, "m", bundle="sha256:2").number == 1
    assert lineage.edges_to(ledger, "version:m/1")[0].source == "bundle:sha256:2"


def test_what_the_record_names_is_never_the_name_of_another_version(ledger: Ledger):
    for _ in range(4):
        models.register(ledger, "m", bundle="sha256:1")
    models.register(ledger, "next", bundle="sha256:1")
    for version in ("m/1", "next/1"):
        add_deployment(ledger, "e", version=version)
    made = decisions.start(ledger, "e", trigger="hand", window_end=1, at=1)
    assert made is not None
    decisions.update(ledger, made.id, step="registered", version="m/3")
    decisions.finish(ledger, made.id, outcome="failed", reason="not deployed", at=2)
    models.delete_model(ledger, "m")
    with pytest.raises(NoModel):
        models.get_version(ledger, "m/3")
    assert models.register(ledger, "m", bundle="sha256:2").number == 4
