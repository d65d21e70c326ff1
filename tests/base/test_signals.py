from __future__ import annotations

import os
import signal
import threading

import pytest

from assay.base.signals import interrupts_later, interrupts_on_terminate


def test_sigterm_is_taken_as_control_c_inside_and_as_before_outside():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupts_on_terminate():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_what_must_not_be_lost(number: signal.Signals):
    made = []
    with interrupts_on_terminate():
        try:
            with interrupts_later():
                os.kill(os.getpid(), number)
                made.append("whole")
        except KeyboardInterrupt:
            made.append("interrupted")
    assert made == ["whole", "interrupted"]


def test_without_an_interrupt_nothing_is_raised_and_handlers_are_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interrupts_later():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_later():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_say_in_signals():
    seen = []

    def look() -> None:
        with interrupts_on_terminate(), interrupts_later():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
