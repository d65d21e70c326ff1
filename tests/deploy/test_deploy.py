"""An endpoint moves to a version as a whole, or stays with what it had."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.base.clock import now_ms
from assay.base.errors import Error, Negative, NotFound, Usage
from assay.base.ids import uuid7
from assay.bundle.contents import Contents
from assay.deploy import deploy as deploying
from assay.deploy import history, servers, verdicts
from assay.deploy.deploy import Deployed, NotReady, sentence
from assay.deploy.endpoints import live
from assay.ledger import models, rows, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.deployments import add_deployment, list_deployments
from assay.objects.cache import Cache
from tests.deploy import fake
from tests.deploy.fake import PROBLEM, FakeServer


def deploy(ledger: Ledger, objects: Cache, version: str, **options: Any) -> Deployed:
    return deploying.deploy(ledger, "scores", version=version, objects=objects, **options)


def versions(ledger: Ledger) -> list[tuple[int, str | None, str | None]]:
    """Return the history of the endpoint, oldest first."""
    found = reversed(list_deployments(ledger, "scores"))
    return [(one.version, one.reason, one.end_reason) for one in found]


def answers(ledger: Ledger, endpoint: str = "scores") -> int | None:
    found = live(ledger, endpoint)
    return None if found is None else found.version


def judged(ledger: Ledger, version: int, verdict: str) -> None:
    owner = {"model": "bikes", "version": version}
    with ledger.write() as connection:
        rows.put_tags(connection, tables.version_tag, owner, {verdicts.VERDICT: verdict})


def test_without_a_server_the_row_is_written_and_it_says_so(ledger: Ledger, objects: Cache):
    done = deploy(ledger, objects, "bikes/1", reason="the first", owner="ada")
    assert sentence(done) == "'scores' goes to bikes/1; no server answers for scores yet"
    assert (done.servers, done.before, done.alias) == ((), None, "production")
    assert models.get_version(ledger, "bikes@production").number == 1
    (row,) = list_deployments(ledger)
    assert (row.version, row.reason, row.owner, row.share) == (1, "the first", "ada", 1.0)
    assert deploy(ledger, objects, "bikes@production").before == "bikes/1"


def test_what_an_endpoint_goes_to_already_is_not_written_again(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    first = deploy(ledger, objects, "bikes/1", reason="the first")
    again = deploy(ledger, objects, "bikes@production", reason="once more")
    assert (again.is_new, again.deployment, again.alias) == (False, first.deployment, "production")
    assert sentence(again) == (
        "'scores' goes to bikes/1 already, nothing was changed; no server answers for scores yet"
    )
    with FakeServer(ledger_path, seconds=0.3) as server:
        done = deploy(ledger, objects, "bikes/1")
        assert [one.url for one in done.servers] == [server.url]
        said = "'scores' answers with bikes/1 on 1 server already, nothing was changed"
        assert sentence(done) == said
    assert versions(ledger) == [(1, "the first", None)]


def test_a_server_that_cannot_answer_with_what_is_deployed_changes_nothing(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    deploy(ledger, objects, "bikes/1")
    add_deployment(ledger, "scores", version="bikes/2")
    before = versions(ledger)
    with FakeServer(ledger_path, refuses=[2]):
        with pytest.raises(NotReady, match="golden example 3") as caught:
            deploy(ledger, objects, "bikes/2")
        assert "'assay rollback scores' goes back" in (caught.value.hint or "")
    assert versions(ledger) == before
    assert models.get_version(ledger, "bikes@production").number == 1


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (None, "bikes/1 was never judged by the gate: 'assay gate bikes@1' does"),
        ("inconclusive", "the gate could not tell whether bikes/1 is good enough"),
        ("pass", None),
        ("fail", None),
    ],
)
@pytest.mark.usefixtures("objects")
def test_a_version_that_the_gate_did_not_let_pass_is_said_to_be_so(
    ledger: Ledger, verdict: str | None, said: str | None
):
    if verdict is not None:
        judged(ledger, 1, verdict)
    caution = verdicts.caution(models.get_version(ledger, "bikes/1"))
    assert (caution or "").startswith(said or "")
    assert (caution is None) == (said is None)


def test_it_waits_until_all_servers_answer_with_the_version(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    deploy(ledger, objects, "bikes/1")
    with FakeServer(ledger_path) as fast, FakeServer(ledger_path, seconds=0.4) as slow:
        for number in (2, 3):
            done = deploy(ledger, objects, f"bikes/{number}")
            assert {server.url for server in done.servers} == {fast.url, slow.url}
            for server in (fast, slow):
                assert server.answers is not None
                assert server.answers.deployment == done.deployment.id
            assert done.before == f"bikes/{number - 1}"
            assert sentence(done) == f"'scores' answers with bikes/{number} on 2 servers"


def test_a_version_that_a_server_refuses_leaves_production_as_it_was(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    deploy(ledger, objects, "bikes/1")
    with FakeServer(ledger_path, refuses=[2]) as server:
        fake.until(ledger, "ready")
        with pytest.raises(NotReady, match="golden example 3") as caught:
            deploy(ledger, objects, "bikes/2", reason="better")
        assert caught.value.where == server.url
        assert "'scores' stays with bikes/1" in (caught.value.hint or "")
        assert set(server.answered) == {1}
        assert [one.state for one in fake.seen(ledger, "scores")] == ["ready"]
    assert answers(ledger) == 1
    assert versions(ledger) == [
        (1, None, "bikes/2 came"),
        (2, "better", f"failed: {PROBLEM}"),
        (1, f"back to bikes/1: {PROBLEM}", None),
    ]
    assert models.get_version(ledger, "bikes@production").number == 1


def test_one_server_of_two_that_refuses_takes_both_back(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    deploy(ledger, objects, "bikes/1")
    with FakeServer(ledger_path) as good, FakeServer(ledger_path, refuses=[2], seconds=0.5):
        fake.until(ledger, "ready")
        with pytest.raises(NotReady):
            deploy(ledger, objects, "bikes/2")
        assert good.answers is not None
        assert good.answers.version == 1
        assert {one.state for one in fake.seen(ledger, "scores")} == {"ready"}


def test_the_first_version_that_is_refused_leaves_nothing_deployed(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    with FakeServer(ledger_path, refuses=[1]), pytest.raises(NotReady) as caught:
        deploy(ledger, objects, "bikes/1")
    assert "has no version that answers" in (caught.value.hint or "")
    assert answers(ledger) is None


def test_a_server_that_hangs_leaves_production_as_it_was(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    deploy(ledger, objects, "bikes/1")
    with fake.process(ledger_path, hangs=2):
        fake.until(ledger, "ready")
        with pytest.raises(NotReady, match=r"not ready after 0\.5 s; it is 'loading'"):
            deploy(ledger, objects, "bikes/2", timeout=0.5)
    assert answers(ledger) == 1


def test_a_server_that_dies_while_it_loads_is_not_waited_for(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    deploy(ledger, objects, "bikes/1")
    with fake.process(ledger_path, hangs=2) as dying, FakeServer(ledger_path) as good:
        found: list[Deployed] = []

        def run() -> None:
            with open_ledger(ledger_path) as own:
                found.append(deploy(own, objects, "bikes/2"))

        thread = threading.Thread(target=run)
        thread.start()
        fake.until(ledger, "loading")
        dying.send_signal(signal.SIGKILL)
        dying.wait()
        thread.join()
        assert [server.url for server in found[0].servers] == [good.url]
    assert answers(ledger) == 2


def test_a_server_that_drains_is_not_waited_for(ledger: Ledger, objects: Cache):
    one = servers.enter(ledger, "scores", url="u", at=now_ms())
    servers.beat(
        ledger, one, deployment=None, wanted=None, state="draining", problem=None,
        at=now_ms(),
    )  # fmt: skip
    assert deploy(ledger, objects, "bikes/1").servers == ()


def test_a_bundle_that_cannot_start_never_becomes_the_deployment(
    ledger: Ledger, objects: Cache, bundles: list[Contents]
):
    deploy(ledger, objects, "bikes/1")
    before = versions(ledger)
    golden = objects.path(bundles[1].index.files["golden.json"].sha256)
    if bundles[0].index.files["golden.json"] == bundles[1].index.files["golden.json"]:
        golden = objects.path(bundles[1].id.removeprefix("sha256:"))
    golden.chmod(0o644)
    golden.write_bytes(b"{}")
    with pytest.raises(Error, match=r"bikes/2 cannot be deployed: .* damaged"):
        deploy(ledger, objects, "bikes/2")
    with pytest.raises(Error, match=r"bikes/2 cannot be deployed: .* not in the cache"):
        deploy(ledger, objects, "bikes/2")
    models.register(ledger, "bikes", source="s3://elsewhere")
    with pytest.raises(Error, match="bikes/4 cannot be deployed: it has no bundle"):
        deploy(ledger, objects, "bikes/4")
    models.register(ledger, "bikes", bundle=bundles[0].id, status="pending")
    with pytest.raises(Error, match="bikes/5 cannot be deployed: it is pending"):
        deploy(ledger, objects, "bikes/5")
    with pytest.raises(NotFound):
        deploy(ledger, objects, "bikes/9")
    assert versions(ledger) == before


def test_what_the_gate_refused_needs_force_and_a_reason(ledger: Ledger, objects: Cache):
    judged(ledger, 1, "pass")
    judged(ledger, 2, "fail")
    judged(ledger, 3, "inconclusive")
    deploy(ledger, objects, "bikes/1")
    with pytest.raises(Negative, match="the gate refused bikes/2"):
        deploy(ledger, objects, "bikes/2", reason="I like it")
    for reason in (None, " "):
        with pytest.raises(Usage, match="needs a reason"):
            deploy(ledger, objects, "bikes/2", force=True, reason=reason)
    assert answers(ledger) == 1
    done = deploy(ledger, objects, "bikes/2", force=True, reason="an incident")
    assert done.deployment.details == {"forced": "the gate refused it"}
    assert deploy(ledger, objects, "bikes/3").deployment.details is None


@pytest.mark.parametrize("endpoint", ["", "a b", "-x", "a/b"])
def test_a_name_that_no_endpoint_can_have_changes_nothing(
    ledger: Ledger, objects: Cache, endpoint: str
):
    with pytest.raises(Usage, match="cannot be the name of an endpoint"):
        deploying.deploy(ledger, endpoint, version="bikes/1", objects=objects)
    with pytest.raises(Usage, match="cannot be an alias"):
        deploy(ledger, objects, "bikes/1", alias="v3")
    assert list_deployments(ledger) == []


def test_of_two_deploys_at_once_one_wins_and_the_other_says_so(
    ledger: Ledger, objects: Cache, ledger_path: Path | str
):
    deploy(ledger, objects, "bikes/1")
    said: dict[int, Deployed | Error] = {}
    barrier = threading.Barrier(2)

    def run(number: int) -> None:
        with open_ledger(ledger_path) as own:
            barrier.wait()
            try:
                said[number] = deploy(own, objects, f"bikes/{number}")
            except Error as error:
                said[number] = error

    with FakeServer(ledger_path, seconds=0.5) as one, FakeServer(ledger_path) as two:
        fake.until(ledger, "ready")
        threads = [threading.Thread(target=run, args=[number]) for number in (2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last = answers(ledger)
        assert last is not None
        assert isinstance(said[last], Deployed)
        other = said[5 - last]
        assert isinstance(other, Error)
        assert f"it goes to bikes/{last} now, not to bikes/{5 - last}" in other.what
        for server in (one, two):
            assert server.answers is not None
            assert server.answers.version == last
    assert models.get_version(ledger, "bikes@production").number == last
    assert sum(one.end is None for one in list_deployments(ledger)) == 1


def test_a_deployment_that_failed_does_not_undo_a_later_one(ledger: Ledger, objects: Cache):
    first = deploy(ledger, objects, "bikes/1").deployment
    failed = add_deployment(ledger, "scores", version="bikes/2")
    later = add_deployment(ledger, "scores", version="bikes/3")
    assert history.go_back(ledger, failed, to=first, why="x", owner=None) is None
    found = live(ledger, "scores")
    assert found is not None
    assert found.deployment == later.id


def rollback(ledger: Ledger, objects: Cache, **options: Any) -> Deployed:
    return deploying.rollback(ledger, "scores", objects=objects, **options)


def test_a_second_rollback_goes_further_back(ledger: Ledger, objects: Cache):
    for number in (1, 2, 3):
        deploy(ledger, objects, f"bikes/{number}")
    done = rollback(ledger, objects)
    assert (done.version, done.deployment.reason) == ("bikes/2", "rollback from bikes/3")
    assert models.get_version(ledger, "bikes@production").number == 2
    assert rollback(ledger, objects, reason="worse").version == "bikes/1"
    with pytest.raises(Negative, match="no deployment before the present one"):
        rollback(ledger, objects)
    assert answers(ledger) == 1


def test_a_rollback_where_nothing_was_deployed_names_the_nearest(ledger: Ledger, objects: Cache):
    deploying.deploy(ledger, "score", version="bikes/1", objects=objects)
    with pytest.raises(Negative, match="did you mean 'score'"):
        rollback(ledger, objects)


def test_a_rollback_waits_for_the_servers(ledger: Ledger, objects: Cache, ledger_path: Path | str):
    deploy(ledger, objects, "bikes/1")
    deploy(ledger, objects, "bikes/2")
    with FakeServer(ledger_path) as server:
        done = rollback(ledger, objects)
        assert server.answers is not None
        assert server.answers.deployment == done.deployment.id
        assert server.answers.version == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deploy"), st.integers(1, 3)),
        st.tuples(st.just("fail"), st.integers(1, 3)),
        st.just(("rollback", 0)),
    ),
    max_size=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_rollbacks_go_back_as_a_stack_would(ledger: Ledger, steps: list[tuple[str, int]]):
    endpoint, stack = f"e{uuid7()}", list[int]()
    if not models.list_models(ledger):
        for number in range(3):
            models.register(ledger, "bikes", bundle=f"sha256:{number}")
    for at, (step, number) in enumerate(steps):
        if step == "deploy":
            add_deployment(ledger, endpoint, version=f"bikes/{number}", at=at)
            stack.append(number)
        elif step == "fail":
            going = next(iter(list_deployments(ledger, endpoint, live=True)), None)
            failed = add_deployment(ledger, endpoint, version=f"bikes/{number}", at=at)
            history.go_back(ledger, failed, to=going, why="x", owner=None, at=at)
        elif stack:
            below = next((n for n in reversed(stack) if n != stack[-1]), None)
            if below is None:
                with pytest.raises(Negative):
                    history.before(ledger, endpoint)
                continue
            present, former = history.before(ledger, endpoint)
            assert (present.version, former.version) == (stack[-1], below)
            again = {history.AGAIN: former.id}
            add_deployment(ledger, endpoint, version=f"bikes/{below}", details=again, at=at)
            top = stack[-1]
            while stack[-1] == top:
                stack.pop()
        assert answers(ledger, endpoint) == (stack[-1] if stack else None)


def test_a_deployment_that_was_only_written_is_gone_on_with(ledger: Ledger, objects: Cache):
    deploy(ledger, objects, "bikes/1")
    written = add_deployment(ledger, "scores", version="bikes/2")
    done = deploying.go_on(ledger, written)
    assert (done.version, done.before, done.alias) == ("bikes/2", "bikes/1", "production")
    assert [version for version, _, _ in versions(ledger)] == [1, 2]
    assert models.get_version(ledger, "bikes@production").number == 2
