"""Signals end a command in an orderly way, and its worker processes end with it."""

import atexit
import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

_PATIENCE = 10.0  # seconds for an orderly end
_more_patience = [0.0]  # of a service, which answers what it has taken
_ECHO = 0.02  # seconds; `timeout` and others send a signal to a process, and at once again to its group
_LOOK = 1.0  # seconds between two looks for the parent
_watched: set[tuple[int, int]] = set()  # pairs of a process and its parent; a forked process inherits those of others
_heard: dict[int, float] = {}  # when each signal came last
_stopping: list[int] = []  # the signals that end this process


class Terminated(KeyboardInterrupt):
    """SIGTERM, the signal of ``kill``, Slurm and Kubernetes. It ends a command as Ctrl-C does."""


class HungUp(KeyboardInterrupt):
    """SIGHUP: the terminal was closed. It ends a command as Ctrl-C does, unless ``nohup`` has started it."""


STOPS: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
if hasattr(signal, "SIGHUP"):  # not on Windows
    STOPS[signal.SIGHUP] = HungUp
_OF_TERMINAL = STOPS.keys() - {signal.SIGTERM}  # a terminal sends these to all processes of a command


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, `Terminated` on SIGTERM, `HungUp` on SIGHUP; each surely ends the process.

    Python loses an exception that is raised in a destructor; it is then raised again. A process that has not ended 10
    seconds after a signal (see `allow_to_finish`) is ended, its files being written whole or not at all. A signal after
    the last line of the command ends the process at once. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _stopping.clear()  # a notebook may go on after an interrupted command
    allow_to_finish(0)
    before = {number: signal.getsignal(number) for number in STOPS}
    hook = sys.unraisablehook
    sys.unraisablehook = _again(hook)
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number not in _OF_TERMINAL:  # in the background of a script; by nohup
            signal.signal(number, _raise)
    try:
        with _deadline():
            yield
    except Exception:
        if not is_stopping():
            raise
        raise STOPS[_stopping[0]] from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
        atexit.unregister(_end_at_once)
        atexit.register(_end_at_once)  # the last one registered is the first one called


def allow_to_finish(seconds: float) -> None:
    """A signal shall leave this process so many seconds more than 10 for what it has begun."""
    _more_patience[0] = seconds


def is_stopping() -> bool:
    """Whether a signal has come: an error may then be what a library has made of it."""
    return bool(_stopping)


def _raise(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    is_echo = now - _heard.get(number, -math.inf) < _ECHO
    _heard[number] = now
    _stopping.append(number)
    if not is_echo:
        raise STOPS[number]


def signal_of(stop: BaseException) -> int:
    """The number of the signal that has raised this."""
    return next((number for number, kind in STOPS.items() if type(stop) is kind), signal.SIGINT)


def _again(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """A hook that repeats the signal whose exception Python has ignored."""

    def repeat(unraisable: Any) -> None:
        stop = unraisable.exc_value
        if not isinstance(stop, KeyboardInterrupt):
            hook(unraisable)
            return
        threading.Timer(0.05, os.kill, (os.getpid(), signal_of(stop))).start()

    return repeat


@contextlib.contextmanager
def _deadline() -> Iterator[None]:
    """End the process some time after a signal, even if the main thread never returns to Python."""
    heard, told = os.pipe()  # Python writes the number of each signal to it, whatever the main thread does
    os.set_blocking(told, False)
    over = threading.Event()
    thread = threading.Thread(target=_wait_for_signal, args=(heard, over), daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    try:
        yield
    finally:
        over.set()  # first, because a second signal may come here, and nothing shall end the process later on
        signal.set_wakeup_fd(before)
        os.write(told, b"\0")
        thread.join()
        os.close(told)
        os.close(heard)


def _wait_for_signal(heard: int, over: threading.Event) -> None:
    while not over.is_set():
        number = os.read(heard, 1)[0]
        if number in STOPS:
            _stopping.append(number)
            if not over.wait(_PATIENCE + _more_patience[0]):
                _end(number)


def _end(number: int) -> None:
    os.write(2, b"error: stopped before everything was tidied up\n")
    os._exit(128 + number)


def _end_at_once() -> None:
    """The interpreter is about to end: a signal must neither be lost nor print a traceback."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(ValueError):  # outside the main thread
                signal.signal(number, signal.SIG_DFL)
    if _stopping:
        last = threading.Timer(_PATIENCE, _end, (_stopping[0],))
        last.daemon = True
        last.start()


@contextlib.contextmanager
def unheard_by_children() -> Iterator[None]:
    """Processes that are started in this context hear neither Ctrl-C nor the end of their terminal."""
    if not hasattr(signal, "pthread_sigmask"):  # not on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker() -> None:
    """To be called first in a worker process: it leaves signals of a terminal to the main process, and ends with it."""
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)  # a forked process has that of the main process
        for number in _OF_TERMINAL:
            signal.signal(number, signal.SIG_IGN)
    sys.excepthook = _report_unless_parent_left
    end_with_parent()


def _report_unless_parent_left(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nothing caught, unless the main process has ended while it was given a batch.

    Then multiprocessing's thread for shared memory loses its connection, and prints it where the user reads why the
    command ended.
    """
    if not issubclass(kind, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)


def end_with_parent(parent: int | None = None) -> None:
    """End this process when the process that has started it is gone.

    Args:
        parent: That process; ``None`` takes the one that has started this as a worker, if any.
    """
    known = multiprocessing.parent_process()
    number = parent if parent is not None or known is None else known.pid
    if number is not None and os.name == "posix" and (os.getpid(), number) not in _watched:
        _watched.add((os.getpid(), number))
        threading.Thread(target=_watch, args=(number,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)
