"""What executors promise: each task settled once, whatever its process does, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_workers import CannotMake, FakeWorker, MakeFake, ignore, task

from sam_toolkit.errors import SamError
from sam_toolkit.study.executors import process
from sam_toolkit.study.executors.inline import InlineExecutor
from sam_toolkit.study.executors.process import ProcessExecutor
from sam_toolkit.study.task import Outcome, Task, Tell

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def quick_start() -> Iterator[None]:
    """Start workers from a process that has imported torch once, where it does not matter how they start."""
    multiprocessing.set_forkserver_preload(["sam_toolkit.study.executors.serve"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_CONTEXT", multiprocessing.get_context("forkserver"))
        yield


# Inline


def test_inline_runs_tasks_in_turn_and_only_when_asked(tmp_path: Path) -> None:
    fetched: list[str] = []

    def tasks() -> Iterator[Task]:
        for number in range(3):
            fetched.append(str(number))
            yield task(number)

    outcomes = InlineExecutor().run(tasks(), MakeFake(tmp_path), ignore)
    assert fetched == []
    assert next(outcomes).task == task(0)
    assert fetched == ["0"]
    assert [outcome.task.id for outcome in outcomes] == ["0001", "0002"]


def test_inline_turns_what_a_worker_raises_into_a_failure(tmp_path: Path) -> None:
    failed, done = InlineExecutor().run([task(1, "raise"), task(2)], MakeFake(tmp_path), ignore)
    assert (failed.status, failed.error) == ("failed", "ValueError: the method failed")
    assert done.status == "done"


def test_inline_lets_an_interrupt_pass() -> None:
    class Interrupted:
        def run(self, task: Task, tell: Tell) -> Outcome:
            raise KeyboardInterrupt

    executor = InlineExecutor()
    with pytest.raises(KeyboardInterrupt):
        list(executor.run([task(1)], Interrupted, ignore))
    executor.close()


def test_inline_says_how_a_task_gets_on(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []
    list(InlineExecutor().run([task(1, "tell")], MakeFake(tmp_path), lambda task, rows: heard.append((task.id, rows))))
    assert heard == [("0001", 1), ("0001", 2), ("0001", 3)]


# Processes: one run with everything in it, looked at from several sides

TASKS = [
    task(0, "kill"),
    task(1, "kill once"),
    task(2, "raise"),
    task(3, "hang"),
    task(4, "exit"),
    *(task(number) for number in range(5, 25)),
]


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory, quick_start: None) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("eventful")
    executor = ProcessExecutor(2, seconds_per_task=1.0, attempts=3)
    outcomes = list(executor.run(iter(TASKS), MakeFake(folder), ignore))
    assert sorted(outcome.task.id for outcome in outcomes) == [each.id for each in TASKS], "each task once"
    return {outcome.task.id: outcome for outcome in outcomes}


def test_ordinary_tasks_are_done_beside_whatever_happens_to_others(eventful: dict[str, Outcome]) -> None:
    ordinary = [eventful[each.id] for each in TASKS if each.label == "do"]
    assert {(outcome.status, outcome.attempt) for outcome in ordinary} == {("done", 1)}
    assert [outcome.task for outcome in ordinary] == TASKS[5:]


def test_work_is_spread_over_other_processes_that_share_the_cores(eventful: dict[str, Outcome]) -> None:
    words = [eventful[each.id].error.split() for each in TASKS if each.label == "do"]
    assert str(os.getpid()) not in {worker for worker, _ in words}
    assert {threads for _, threads in words} == {str(max(1, len(os.sched_getaffinity(0)) // 2))}


def test_processes_say_now_and_then_how_a_task_gets_on(tmp_path: Path, quick_start: None) -> None:
    heard: list[tuple[str, int]] = []
    tasks = [task(1, "tell"), task(2)]
    outcomes = list(ProcessExecutor(1).run(tasks, MakeFake(tmp_path), lambda task, rows: heard.append((task.id, rows))))
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert heard
    assert set(heard) <= {("0001", 2), ("0001", 3)}, "the first word comes too early"


def test_a_task_whose_process_is_killed_is_tried_again(eventful: dict[str, Outcome]) -> None:
    assert (eventful["0001"].status, eventful["0001"].attempt) == ("done", 2)


def test_a_task_that_always_kills_its_process_is_lost_after_three_attempts(
    eventful: dict[str, Outcome],
) -> None:
    killed, ended = eventful["0000"], eventful["0004"]
    assert (killed.status, killed.attempt, killed.file) == ("lost", 3, None)
    assert killed.error.startswith("Given up at attempt 3: its process ended by signal 9 (Killed; too little memory")
    assert ended.error == "Given up at attempt 3: its process ended with exit code 3."


def test_a_task_that_hangs_is_ended_at_its_limit(eventful: dict[str, Outcome]) -> None:
    assert (eventful["0003"].status, eventful["0003"].attempt) == ("lost", 3)
    assert eventful["0003"].error == "Given up at attempt 3: it ran longer than its limit of 1 s."


def test_what_a_worker_raises_is_a_failure_and_not_tried_again(eventful: dict[str, Outcome]) -> None:
    failed = eventful["0002"]
    assert (failed.status, failed.attempt, failed.error) == ("failed", 1, "ValueError: the method failed")


def test_tasks_are_fetched_as_they_are_needed_and_processes_end_with_the_run(tmp_path: Path) -> None:
    fetched: list[int] = []

    def endless() -> Iterator[Task]:
        while True:
            fetched.append(len(fetched))
            yield task(fetched[-1])

    executor = ProcessExecutor(1)
    outcomes = executor.run(endless(), MakeFake(tmp_path), ignore)
    found = [next(outcomes) for _ in range(5)]
    assert len(fetched) <= 5 + 2
    executor.close()
    executor.close()
    assert gone(int(found[0].error.split()[0]))
    assert len({outcome.error for outcome in found}) == 1, "one process did them all"


# Processes that cannot start


@pytest.mark.usefixtures("quick_start")
@pytest.mark.parametrize(
    ("how", "told", "starts"),
    [
        ("refuse", "A worker process cannot start: no such model$", 1),
        ("raise", "A worker process cannot start: ValueError: no such file$", 1),
        ("exit", "2 worker processes in a row did not start: its process ended with exit code 3", 2),
    ],
)
def test_a_worker_that_cannot_start_is_told_once(tmp_path: Path, how: str, told: str, starts: int) -> None:
    with pytest.raises(SamError, match=told):
        list(ProcessExecutor(1, attempts=2).run([task(1), task(2)], CannotMake(tmp_path, how), ignore))
    assert len(list(tmp_path.iterdir())) == starts


def test_work_that_cannot_be_sent_names_the_inline_executor(tmp_path: Path) -> None:
    make_worker: Callable[[], FakeWorker] = lambda: FakeWorker(tmp_path)  # noqa: E731 - what cannot be pickled
    with pytest.raises(SamError, match=r"cannot be sent to a worker process.*inline executor"):
        list(ProcessExecutor(2).run([task(1)], make_worker, ignore))


def test_no_tasks_start_no_process(tmp_path: Path) -> None:
    assert list(ProcessExecutor(2).run([], CannotMake(tmp_path, "raise"), ignore)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("workers", "limit", "attempts"), [(0, None, 3), (1, 0.0, 3), (1, None, 0)])
def test_numbers_that_make_no_sense_are_refused(workers: int, limit: float | None, attempts: int) -> None:
    with pytest.raises(SamError, match=f"got {workers}, {attempts} and {limit}"):
        ProcessExecutor(workers, limit, attempts)


# The end of the driver


@pytest.mark.parametrize(("moment", "count"), [("starting", 2), ("working", 1)])
def test_an_interrupt_ends_everything_without_a_word_from_workers(tmp_path: Path, moment: str, count: int) -> None:
    driver, workers = run_script(tmp_path, moment, count)
    os.killpg(driver.pid, signal.SIGINT)
    output, errors = driver.communicate(timeout=60)
    assert output.strip() == "interrupted []"
    assert errors == ""
    assert all(gone(worker) for worker in workers)


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    driver, workers = run_script(tmp_path, "working", 1)
    driver.kill()
    _, errors = driver.communicate(timeout=60)
    assert errors == ""
    assert all(gone(worker) for worker in workers)


def run_script(folder: Path, moment: str, count: int) -> tuple[subprocess.Popen[str], list[int]]:
    """Run a driver of `count` workers in its own process group; return when its workers are at `moment`."""
    driver = subprocess.Popen(
        [sys.executable, str(HERE / "executor_script.py"), str(folder), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert driver.stdout is not None
    workers = [int(word) for word in driver.stdout.readline().split()]
    while moment == "working" and len(list(folder.iterdir())) < count:
        time.sleep(0.02)
    return driver, workers


def gone(process: int) -> bool:
    """Return whether a process has ended, now or within ten seconds."""
    for _ in range(500):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False
