"""What drops is tried again, what fails ends the rest, and what went well is kept."""

from __future__ import annotations

import threading

import pytest

from assay.base.errors import Error
from assay.objects.remotes.parallel import each
from assay.objects.remotes.retrying import Dropped, Stopped, persevere


def test_a_call_is_made_again_until_it_works():
    left = [Dropped("one"), Dropped("two")]

    def call() -> str:
        if left:
            raise left.pop()
        return "done"

    assert persevere(call, where="remote 'st'") == "done"


def test_after_the_last_try_the_reason_is_said():
    def call() -> None:
        raise Dropped("it broke off")

    with pytest.raises(Error, match=r"it broke off \(tried 2 times\)") as caught:
        persevere(call, where="remote 'st'", tries=2)
    assert caught.value.where == "remote 'st'"
    assert caught.value.__cause__ is None  # the caller takes it for final


def test_what_is_stopped_is_not_begun():
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        persevere(lambda: None, where="", stop=stop)


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_first_error_is_raised_after_what_went_well(jobs: int):
    stop = threading.Event()

    def call(number: int) -> int:
        if number == 10:
            raise Error("ten")
        return number

    done: list[int] = []
    with pytest.raises(Error, match="ten"):
        done.extend(each(call, range(100), jobs=jobs, stop=stop))
    assert set(range(10)) <= set(done)
    assert len(done) < 40


def test_all_things_are_done_once_and_many_at_once():
    together = threading.Barrier(4, timeout=20)

    def call(number: int) -> int:
        together.wait()
        return number

    assert sorted(each(call, range(40), jobs=4, stop=threading.Event())) == list(range(40))
