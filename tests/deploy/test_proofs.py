"""That a bundle was proved stays on record, whoever proved it."""

from __future__ import annotations

from assay.deploy import proofs
from assay.deploy.deploy import deploy
from assay.ledger.database import Ledger
from assay.objects.cache import Cache


def test_a_deployment_says_that_its_bundle_was_proved(ledger: Ledger, objects: Cache):
    made = deploy(ledger, "scores", version="bikes/1", objects=objects).deployment

    (proof,) = proofs.list_proofs(ledger, made.id)

    assert proof.ok
    assert not proof.is_of_server
    assert proof.at >= made.start


def test_what_servers_found_is_kept_in_order_and_once_each(ledger: Ledger):
    for at, ok in ((1, False), (2, True), (3, False)):
        proofs.add(ledger, "d", by="server:s", ok=ok, at=at)

    found = [(proof.ok, proof.at) for proof in proofs.list_proofs(ledger, "d")]

    assert found == [(False, 1), (True, 2)]
    assert proofs.list_proofs(ledger, "other") == []
