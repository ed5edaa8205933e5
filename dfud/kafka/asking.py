"""Questions that nobody waits for before the answer is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")


def ask(question: Callable[[], Answer]) -> Future[Answer]:
    """Return the answer to come of a question that is asked by a thread, which no end of the process waits for.

    For a process that forks no other. Whoever takes the answer gets the error that the question raises.
    """
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer
