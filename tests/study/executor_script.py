"""A driver of workers that hang, for tests that interrupt or kill it."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from pathlib import Path

from fake_workers import MakeFake, ignore, task

from sam_toolkit.study.executors.process import ProcessExecutor


def tell_when_started(count: int) -> None:
    """Write the workers' process ids once there are `count` of them."""
    while len(multiprocessing.active_children()) < count:
        time.sleep(0.01)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)


if __name__ == "__main__":
    # A shell that starts the tests in the background has them, and so this process, ignore the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, workers = Path(sys.argv[1]), int(sys.argv[2])
    threading.Thread(target=tell_when_started, args=(workers,), daemon=True).start()
    executor = ProcessExecutor(workers)
    try:
        for outcome in executor.run([task(1, "hang"), task(2, "hang")], MakeFake(folder), ignore):
            print(outcome, flush=True)
    except KeyboardInterrupt:
        executor.close()
        print("interrupted", multiprocessing.active_children(), flush=True)
