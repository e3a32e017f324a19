"""Requests that wait become one batch: a thread takes all there are, and answers them by one forward pass."""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass

from refeed.errors import RefeedError
from refeed.serve.engine import Answer, Engine
from refeed.serve.lines import Question
from refeed.serve.metrics import Metrics

__all__ = ["Batcher", "BusyError"]


class BusyError(RefeedError):
    """So many requests wait already that another one had better come later."""


@dataclass(eq=False)
class _Waiting:
    engine: Engine
    question: Question
    answer: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop
    since: float


class Batcher:
    """The queue before the models, and the thread that works it off.

    Args:
        metrics: hears of queue times, pass times and sizes of batches.
        bound: questions that may wait; one more is refused.
        size: questions that are answered together at most.
    """

    def __init__(self, metrics: Metrics, *, bound: int = 1024, size: int = 64) -> None:
        self._metrics, self._bound, self._size = metrics, bound, size
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="refeed-batches", daemon=True)
        self._thread.start()

    async def ask(self, engine: Engine, questions: list[Question]) -> list[Answer]:
        """Have questions answered by a model, all by this one whatever is swapped meanwhile.

        Raises:
            BusyError: too many wait.
        """
        loop = asyncio.get_running_loop()
        now = time.perf_counter()
        mine = [_Waiting(engine, question, loop.create_future(), loop, now) for question in questions]
        with self._changed:
            if self._closed or len(self._waiting) + len(mine) > self._bound:
                raise BusyError("the server is busy; try again in a second")
            self._waiting.extend(mine)
            self._changed.notify()
        if len(mine) == 1:
            return [await mine[0].answer]
        return list(await asyncio.gather(*(waiting.answer for waiting in mine)))

    def __len__(self) -> int:
        """How many questions wait."""
        return len(self._waiting)

    def close(self) -> None:
        """Answer what waits, then stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                batch = self._take()
            # Who hung up meanwhile needs no answer.
            batch = [waiting for waiting in batch if not waiting.answer.cancelled()]
            if batch:
                self._answer(batch)

    def _take(self) -> list[_Waiting]:
        """The questions that have waited longest, and those behind them that go to the same model."""
        engine = self._waiting[0].engine
        batch: list[_Waiting] = []
        others: list[_Waiting] = []
        while self._waiting and len(batch) < self._size:
            waiting = self._waiting.popleft()
            (batch if waiting.engine is engine else others).append(waiting)
        self._waiting.extendleft(reversed(others))
        return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        engine, started = batch[0].engine, time.perf_counter()
        answers: list[Answer] | Exception
        try:
            answers = engine.answer([waiting.question for waiting in batch])
        except Exception as error:  # noqa: BLE001 - goes to those who wait
            answers = error
        self._metrics.batch(engine.name, started - batch[0].since, time.perf_counter() - started, len(batch))
        for loop in {waiting.loop for waiting in batch}:
            mine = [(at, waiting) for at, waiting in enumerate(batch) if waiting.loop is loop]
            try:
                loop.call_soon_threadsafe(_deliver, mine, answers)
            except RuntimeError:  # that loop is closed, and nobody waits any more
                continue


def _deliver(mine: list[tuple[int, _Waiting]], answers: list[Answer] | Exception) -> None:
    for at, waiting in mine:
        if waiting.answer.done():
            continue
        if isinstance(answers, Exception):
            waiting.answer.set_exception(answers)
        else:
            waiting.answer.set_result(answers[at])
