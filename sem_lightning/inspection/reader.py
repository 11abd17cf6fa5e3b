"""Reads files in a thread of its own, a few ahead of what is asked for."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from sem_lightning.data.images import ImageError
from sem_lightning.inspection.inspector import Preparation, Prepared, Unreadable, prepare

_PIXELS_AHEAD = 1 << 24  # 64 MB; a single larger image waits alone


class _Shelf:
    """What the reader has put ready, no more than so many pixels of it."""

    def __init__(self) -> None:
        self._entries: deque[tuple[Prepared | Unreadable | BaseException | None, int]] = deque()
        self._pixels = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, entry: Prepared | Unreadable | BaseException | None) -> bool:
        """Waits for room; false once nobody takes any more."""
        pixels = 0
        if isinstance(entry, Prepared):
            pixels = entry.image.size + sum(look.image.size for look in entry.closer)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._entries or self._pixels + pixels <= _PIXELS_AHEAD)
            self._entries.append((entry, pixels))
            self._pixels += pixels
            self._changed.notify_all()
            return not self._closed

    def take(self) -> Prepared | Unreadable | BaseException | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._entries))
            entry, pixels = self._entries.popleft()
            self._pixels -= pixels
            self._changed.notify_all()
            return entry

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def read_ahead(paths: Iterable[Path], how: Preparation) -> Iterator[Prepared | Unreadable]:
    """Prepare files in order, those that cannot be used among them.

    Args:
        paths: The files.
        how: What is done with each.
    """
    shelf = _Shelf()

    def work() -> None:
        try:
            for path in paths:
                try:
                    going_on = shelf.put(prepare(path, how))
                except ImageError as error:
                    going_on = shelf.put(Unreadable(path, error))
                if not going_on:
                    return
            shelf.put(None)
        except BaseException as error:  # for the one who waits: nobody sees what a thread raises
            shelf.put(error)

    thread = threading.Thread(target=work, name="reader", daemon=True)
    thread.start()
    try:
        while (entry := shelf.take()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry
    finally:
        shelf.close()
        thread.join()
