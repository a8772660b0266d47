from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from textgan.signals import Interrupted, SignalFlag


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_remembered_and_stops_nothing(signum: signal.Signals) -> None:
    with SignalFlag() as flag:
        assert flag.received is None
        os.kill(os.getpid(), signum)
        assert flag.received == signum


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT does what it does at a terminal, even where the tests run in the background, which ignores it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_acts_at_once() -> None:
    with SignalFlag() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        assert flag.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_former_handlers_are_back_afterwards() -> None:
    former = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with SignalFlag():
        assert signal.getsignal(signal.SIGTERM) is not former[1]
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == former


def test_outside_the_main_thread_handlers_stay_as_they_are() -> None:
    former, seen = signal.getsignal(signal.SIGTERM), []

    def play() -> None:
        with SignalFlag():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=play)
    thread.start()
    thread.join()
    assert seen == [former]


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_has_the_exit_status_that_shells_expect(signum: int, status: int) -> None:
    stop = Interrupted(signum)
    assert stop.status == status
    assert str(stop) == f"stopped by {signal.Signals(signum).name}"
