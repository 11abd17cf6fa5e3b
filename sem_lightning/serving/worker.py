"""The one thread that judges: it drains a bounded queue into the Predictor and the Inspector."""

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import cv2

from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.io.gray_image import GrayImage, decode_image
from sem_lightning.io.limits import CannotDecodeError, TooLargeError
from sem_lightning.serving.answers import answer_inspection, answer_prediction
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.metrics import ServiceMetrics
from sem_lightning.serving.refusal import RefusedError
from sem_lightning.serving.requests import SentImage

_AT_ONCE = 16  # images taken from the queue together
_PIXELS_AT_ONCE = 1 << 24  # of them; 64 MB
_SHARE_OF_TIME = 0.7  # of a request's, that the images before it may be expected to take
_STALLED = 120.0  # seconds in which every batch should be answered
_SWITCH = 0.0005  # seconds, in place of 5 ms: the judging thread waits so long for Python after each layer
_ENDED = "the service has stopped judging; it needs a restart"

Answer = dict[str, Any]


@dataclass(eq=False)
class Job:
    """An image that waits for its answer.

    Attributes:
        image: Its file.
        references: What it is compared with; none for the classifier.
        result: The answer, or a `RefusedError`. Cancelled if nobody waits for it any longer.
    """

    image: SentImage
    references: Sequence[SentImage] = ()
    result: "Future[Answer]" = field(default_factory=Future)

    def refuse(self, status: int, reason: str) -> None:
        """Conclude without an answer, unless it is concluded."""
        if not self.result.done():
            self.result.set_exception(RefusedError(status, reason))


class Worker:
    """Judges the images of all requests, in the order in which they came, several at once where several wait.

    Args:
        predictor: Judges images alone.
        inspector: Compares images with references.
        limits: Pixels of an image, and length of the queue.
        metrics: Where it counts.
    """

    def __init__(
        self, predictor: Predictor, inspector: Inspector, limits: ServiceLimits, metrics: ServiceMetrics
    ) -> None:
        self._predictor = predictor
        self._inspector = inspector
        self._limits = limits
        self._metrics = metrics
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._busy_since: float | None = None
        self._in_hand = 0  # images being judged
        self._pace = 0.0  # seconds for an image, of late
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        sys.setswitchinterval(_SWITCH)
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Take nothing more, answer what was taken, and end.

        Args:
            patience: Seconds to wait for the end.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(patience)

    @property
    def is_ready(self) -> bool:
        """Whether images are taken and answered: the thread runs, and no batch takes for ever."""
        busy = self._busy_since
        stalled = busy is not None and time.monotonic() - busy > _STALLED
        return self._thread.is_alive() and not self._closed and not stalled

    @property
    def waiting(self) -> int:
        """Number of images in the queue."""
        return len(self._waiting)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue the images of a request, all or none.

        Args:
            jobs: The images; with none of them it is only asked whether there is room for one.

        Raises:
            RefusedError: The queue is full, or the service is not ready.
        """
        with self._changed:
            if not self.is_ready:
                raise RefusedError(503, "the service is stopping" if self._closed else _ENDED)
            if len(self._waiting) + max(1, len(jobs)) > self._limits.queue:
                raise RefusedError(429, f"{self.waiting} images wait, at most {self._limits.queue} may; try again")
            before = len(self._waiting) + self._in_hand
            if before * self._pace > _SHARE_OF_TIME * self._limits.seconds:
                raise RefusedError(429, f"{before} images wait, which takes {before * self._pace:.1f} s; try again")
            self._waiting.extend(jobs)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while batch := self._take():
                self._busy_since = begun = time.monotonic()
                self._in_hand = len(batch)
                self._answer(batch)
                self._in_hand, self._busy_since = 0, None
                pace = (time.monotonic() - begun) / len(batch)
                self._pace = (self._pace + pace) / 2 if self._pace else pace
        finally:
            with self._changed:
                self._closed = True
                for job in self._waiting:
                    job.refuse(503, _ENDED)
                self._waiting.clear()

    def _take(self) -> list[Job]:
        """The images that wait, those that nobody waits for left out; empty at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return []
                count = min(len(self._waiting), _AT_ONCE)
                taken = [self._waiting.popleft() for _ in range(count)]
                wanted = [job for job in taken if job.result.set_running_or_notify_cancel()]
                if wanted:
                    return wanted

    def _answer(self, batch: list[Job]) -> None:
        """Judge images together; after an unforeseen error one by one, so that one image harms no other."""
        self._metrics.batches.observe(len(batch))
        try:
            try:
                self._judge(batch)
            except Exception:
                for job in batch:
                    self._judge_alone(job)
        finally:
            for job in batch:
                job.refuse(503, _ENDED)

    def _judge_alone(self, job: Job) -> None:
        if job.result.done():
            return
        try:
            self._judge([job])
        except Exception:
            traceback.print_exc()  # for whoever runs the service
            job.refuse(500, f"{job.image.name}: cannot be judged, by an error of the service")

    def _judge(self, batch: Sequence[Job]) -> None:
        alone = deque(job for job in batch if not job.references and not job.result.done())
        while alone:
            self._classify(alone)
        for job in batch:
            if job.references and not job.result.done():
                self._inspect(job)

    def _classify(self, jobs: deque[Job]) -> None:
        """Take jobs from the front until they have many pixels, and answer them."""
        asked: deque[Job] = deque()

        def opened() -> Iterator[GrayImage]:
            pixels = 0
            while jobs and pixels < _PIXELS_AT_ONCE:
                job = jobs.popleft()
                image = self._open(job, job.image)
                if image is not None:
                    asked.append(job)
                    pixels += image.pixels.size
                    yield image

        for found in self._predictor.stream(opened()):
            job = asked.popleft()
            if isinstance(found, UnreadableImage):
                job.refuse(413, f"{job.image.name}: not enough memory for it; cut it into parts or scale it down")
            else:
                self._conclude(job, answer_prediction(job.image.name, found))

    def _inspect(self, job: Job) -> None:
        image = self._open(job, job.image)
        references = [self._open(job, each) for each in job.references]
        known = [each for each in references if each is not None]
        if image is None or len(known) < len(references):
            return
        try:
            found = self._inspector.inspect(image, known)
        except (MemoryError, cv2.error):
            job.refuse(413, f"{job.image.name}: not enough memory for it; cut it into parts or scale it down")
            return
        self._conclude(job, answer_inspection(job.image.name, found))

    def _conclude(self, job: Job, answer: Answer) -> None:
        job.result.set_result(answer)
        self._metrics.images.labels(answer["decision"]).inc()

    def _open(self, job: Job, sent: SentImage) -> GrayImage | None:
        """A decoded image; ``None`` if its job is refused for it."""
        try:
            if not sent.data:
                raise CannotDecodeError("the file is empty")
            return decode_image(sent.data, self._predictor.preprocessing.crop_data_bar, self._limits.pixels)
        except CannotDecodeError as error:
            job.refuse(413 if isinstance(error, TooLargeError) else 422, f"{sent.name}: {error}")
            return None
