"""Ctrl-C and SIGTERM, turned into a question that the loop asks after every batch."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["catch_stop_signals"]


@contextmanager
def catch_stop_signals() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the user wants to stop; a second Ctrl-C stops at once.

    Outside the main thread signals can't be caught, and the answer is always no.
    """
    asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
