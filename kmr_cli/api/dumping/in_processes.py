"""A data set on several processes of this machine: each has the model, and takes batch after batch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from kmr_cli.api.opened import Opened


def run_at_once(
    opened: Opened,
    jobs: int,
    run: Callable[[Opened, int], None],
    todo: Sequence[int],
    tell: Callable[[int], None],
) -> None:
    """Run batches, ``jobs`` at a time, each in a process of its own.

    Args:
        opened: the model; its own process rests meanwhile.
        jobs: processes.
        run: one batch on one of them.
        todo: the batches.
        tell: told how many are done.

    Raises:
        KmrError: as the first batch that failed raised it; the others are ended.
    """
    opened.rest()
    lock = threading.Lock()

    twins = [opened.twin(lambda _kind, _text: None) for _ in range(min(jobs, len(todo)))]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in todo:
        waiting.put(number)
    failed: list[BaseException] = []
    finished = 0
    ended = threading.Event()

    def work(twin: Opened) -> None:
        nonlocal finished
        try:
            while not failed:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                run(twin, number)
                with lock:
                    finished += 1
                    tell(finished)
        except BaseException as exc:
            failed.append(exc)
        finally:
            ended.set()

    threads = [threading.Thread(target=work, args=(twin,), daemon=True) for twin in twins]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not failed:
            ended.wait(0.5)
            ended.clear()
    finally:
        first = list(failed)
        failed.append(KeyboardInterrupt())  # nobody takes another batch
        for twin in twins:
            twin.close()
        for thread in threads:
            thread.join()
    if first:
        raise first[0]
