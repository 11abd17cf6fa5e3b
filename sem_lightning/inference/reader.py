"""Prepares images in a separate thread, a few images ahead."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inference.preprocessing import PreparedImage

_PIXELS_AHEAD = 1 << 24  # 64 MB; a single larger image waits alone

Item = TypeVar("Item")
_Entry = PreparedImage | UnreadableImage | BaseException | None


class _BoundedQueue:
    """A queue of prepared images with a limit on the number of pixels."""

    def __init__(self) -> None:
        self._entries: deque[tuple[_Entry, int]] = deque()
        self._pixels = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, entry: _Entry) -> bool:
        """Wait for room; returns false once the consumer has stopped."""
        pixels = 0
        if isinstance(entry, PreparedImage):
            pixels = entry.image.size + sum(view.image.size for view in entry.more_views)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._entries or self._pixels + pixels <= _PIXELS_AHEAD)
            self._entries.append((entry, pixels))
            self._pixels += pixels
            self._changed.notify_all()
            return not self._closed

    def take(self) -> _Entry:
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


def read_ahead(
    items: Iterable[Item], prepare: Callable[[Item], PreparedImage | UnreadableImage]
) -> Iterator[PreparedImage | UnreadableImage]:
    """``map(prepare, items)`` in order, computed ahead in a thread.

    Args:
        items: The items to prepare.
        prepare: Called in the thread; its exceptions are raised here.
    """
    queue = _BoundedQueue()

    def work() -> None:
        try:
            for item in items:
                if not queue.put(prepare(item)):
                    return
            queue.put(None)
        except BaseException as error:  # re-raised by the consumer
            queue.put(error)

    thread = threading.Thread(target=work, name="reader", daemon=True)
    thread.start()
    try:
        while (entry := queue.take()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry
    finally:
        queue.close()
        thread.join()
