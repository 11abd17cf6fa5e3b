"""The queue before the classifier: bounded, fair, and honest about its end."""

import threading
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hostile import images, png_of

from sem_lightning.inspection.inspector import Inspector
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.metrics import ServiceMetrics
from sem_lightning.serving.refusal import RefusedError
from sem_lightning.serving.requests import SentImage
from sem_lightning.serving.worker import Job, Worker

PNG = images()["png"]


class Predictor:
    """Judges when it is allowed to; fails on images that are the third of a batch, or for ever."""

    def __init__(self) -> None:
        self.preprocessing = SimpleNamespace(crop_data_bar=True)
        self.may_judge = threading.Event()
        self.judging = threading.Event()
        self.batches: list[int] = []
        self.error: BaseException | None = None
        self.poison = 0

    def stream(self, images: Iterable[GrayImage]) -> Iterator[Any]:
        found = list(images)
        self.batches.append(len(found))
        self.judging.set()
        assert self.may_judge.wait(30)
        if self.error is not None:
            raise self.error
        for image in found:
            if image.pixels.shape[0] == self.poison:
                raise RuntimeError("poison")
            yield SimpleNamespace(
                label="gap", decision="gap", reason=None, probabilities={"good": 0.1, "gap": 0.9}, ood_score=None,
                regions=[], shape=image.pixels.shape, pixel_size=None, data_bar_rows=0, inverted=False,
            )  # fmt: skip


def make(predictor: Predictor, **limits: Any) -> Worker:
    worker = Worker(predictor, Inspector(), ServiceLimits(**limits), ServiceMetrics())  # type: ignore[arg-type]
    worker.start()
    return worker


def jobs(count: int) -> list[Job]:
    return [Job(SentImage(str(number), PNG)) for number in range(count)]


def test_images_that_wait_are_judged_together_and_the_queue_is_bounded() -> None:
    predictor = Predictor()
    worker = make(predictor, images=4, queue=4)
    first, others = jobs(1), jobs(4)
    worker.submit(first)
    assert predictor.judging.wait(30)
    worker.submit(others)
    with pytest.raises(RefusedError, match="4 images wait, at most 4 may") as refused:
        worker.submit(jobs(1))
    assert refused.value.status == 429 and worker.is_ready
    others[0].result.cancel()  # its client is gone
    predictor.may_judge.set()
    assert [job.result.result(30)["name"] for job in (*first, *others[1:])] == ["0", "1", "2", "3"]
    with pytest.raises(CancelledError):
        others[0].result.result(30)
    worker.stop(30)
    assert predictor.batches == [1, 3] and not worker.is_ready


def test_an_image_that_breaks_the_classifier_harms_no_other(capsys: pytest.CaptureFixture[str]) -> None:

    predictor = Predictor()
    predictor.poison = 32
    worker = make(predictor)
    batch = jobs(3)
    batch[1] = Job(SentImage("bad", png_of(32, 32, zlib.compress(bytes(33 * 32)))))
    worker.submit(batch)
    predictor.may_judge.set()
    assert batch[0].result.result(30)["label"] == batch[2].result.result(30)["label"] == "gap"
    with pytest.raises(RefusedError, match=r"^bad: cannot be judged, by an error of the service$") as refused:
        batch[1].result.result(30)
    assert refused.value.status == 500 and worker.is_ready
    worker.stop(30)
    assert "poison" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_is_not_ready_and_leaves_nobody_waiting() -> None:
    predictor = Predictor()
    predictor.error = KeyboardInterrupt()
    worker = make(predictor)
    first, second = jobs(1), jobs(1)
    worker.submit(first)
    assert predictor.judging.wait(30)
    worker.submit(second)
    predictor.may_judge.set()
    for (job,) in (first, second):
        with pytest.raises(RefusedError, match="needs a restart") as refused:
            job.result.result(30)
        assert refused.value.status == 503
    worker.stop(30)
    assert not worker.is_ready
    with pytest.raises(RefusedError, match="stopp"):
        worker.submit(jobs(1))


def test_what_was_taken_is_answered_at_the_end() -> None:
    predictor = Predictor()
    worker = make(predictor)
    taken = jobs(40)
    worker.submit(taken)
    threading.Timer(0.1, predictor.may_judge.set).start()
    worker.stop(30)
    assert all(job.result.result(0)["decision"] == "gap" for job in taken)


def test_files_are_not_named_by_clients(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    predictor = Predictor()
    predictor.may_judge.set()
    worker = make(predictor)
    asked = Job(SentImage(str(secret), b"no image"))
    worker.submit([asked])
    with pytest.raises(RefusedError, match=r"secret\.png: not a readable image") as refused:
        asked.result.result(30)
    assert refused.value.status == 422
    worker.stop(30)


def test_a_slow_classifier_takes_no_more_than_it_can_answer_in_time() -> None:
    predictor = Predictor()
    worker = make(predictor, seconds=0.2)
    first = jobs(1)
    worker.submit(first)
    assert predictor.judging.wait(30)
    threading.Event().wait(0.3)
    predictor.may_judge.set()
    first[0].result.result(30)
    predictor.may_judge.clear()
    predictor.judging.clear()
    worker.submit(jobs(1))  # nobody waits before it
    assert predictor.judging.wait(30)
    with pytest.raises(RefusedError, match="images wait, which takes") as refused:
        worker.submit(jobs(1))
    assert refused.value.status == 429
    predictor.may_judge.set()
    worker.stop(30)
