"""What signals do to commands, their worker processes, and a Python that is about to end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kills import session


@pytest.fixture(autouse=True)
def _hangups_count() -> Iterator[None]:
    """Commands heed SIGHUP, also where the tests run under nohup, which has it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


GENERATE = "from sem_lightning.commands.generate import main; main()"
START = (
    "import atexit, os, signal, sys, time; from sem_lightning import processes; from sem_lightning.processes import *\n"
)
PROGRAMS = {
    "lost in a destructor": """
class Deaf:
    def __del__(self):
        print(flush=True)
        time.sleep(1)
try:
    with ended_by_signals():
        Deaf()
        time.sleep(60)
except KeyboardInterrupt as stop:
    sys.exit(128 + signal_of(stop))
""",
    "never acted upon": """
processes._PATIENCE = 0.5
with ended_by_signals():
    while True:
        try:
            print(flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
""",
    "while Python ends": """
atexit.register(lambda: (print(flush=True), time.sleep(60)))
with ended_by_signals():
    pass
""",
}


CLOSED = """
import fcntl, os, termios, time
from sem_lightning.config.app import one_line_errors
from sem_lightning.processes import ended_by_signals
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
with one_line_errors(), ended_by_signals():
    os.mkdir("started")
    while True:
        time.sleep(0.01)
        print("a line of progress" if os.path.isdir("closed") else "", end="")
"""


def wait_until(reached: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("moment", PROGRAMS)
def test_a_signal_ends_the_process_whenever_it_comes(moment: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", START + PROGRAMS[moment]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode in (128 + number, -number) and "Traceback" not in err, err


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
    ids=lambda each: str(each),
)
def test_workers_end_with_the_command(tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", GENERATE, "num_per_class=5000", "output=set", "num_workers=2", "shards=100"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_until(lambda: any(tmp_path.glob(".set.partial/parts/*")))
        assert len(session(process.pid)) >= 3  # with its workers
        # a terminal sends it to all processes of a command
        (os.killpg if number == signal.SIGHUP else os.kill)(process.pid, number)
        _, err = process.communicate(timeout=30)
        wait_until(lambda: not session(process.pid), 30)
    finally:
        for left in session(process.pid):
            os.kill(left, signal.SIGKILL)
    assert process.returncode == code, err
    if number != signal.SIGKILL:
        said = {130: "interrupted", 143: "terminated", 129: "the terminal was closed"}[code]
        assert err == f"error: {said}; the same command goes on where this one stopped\n"
    assert not (tmp_path / "set").exists()


def test_a_closed_terminal_ends_a_command_that_still_prints(tmp_path: Path) -> None:
    """Nothing can be written any more, and yet the exit code says why it ended."""
    terminal, end = os.openpty()
    command = [sys.executable, "-c", CLOSED]
    with subprocess.Popen(command, cwd=tmp_path, stdin=end, stdout=end, stderr=end, start_new_session=True) as process:
        os.close(end)
        wait_until((tmp_path / "started").is_dir)
        (tmp_path / "closed").mkdir()
        os.close(terminal)
        assert process.wait(timeout=30) == 129


def test_nohup_keeps_a_command(tmp_path: Path) -> None:
    program = START + "with ended_by_signals():\n    os.kill(os.getpid(), signal.SIGHUP)\n    print('went on')\n"
    done = subprocess.run(
        ["bash", "-c", 'trap "" HUP; exec "$@"', "bash", sys.executable, "-c", program + "os.kill(os.getpid(), 1)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
