"""Opens a review: its images, what the classifier says about them, and the answers so far."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sem_lightning.inference.predictor import load
from sem_lightning.review.images import list_review_images
from sem_lightning.review.judgement import CACHE, judge_images, name_model
from sem_lightning.review.review_settings import ReviewOptions, check_classes
from sem_lightning.review.session import ReviewSession
from sem_lightning.review.store import STORE, LabelStore


def open_review(
    folder: Path,
    output: Path,
    ckpt: str = "robust",
    predictor_options: Mapping[str, Any] | None = None,
    classes: list[str] | None = None,
    options: ReviewOptions | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> ReviewSession:
    """A review of the images of a folder, all of them judged.

    Args:
        folder: Of the images, with subfolders.
        output: Of the answers; it is made.
        ckpt: See `sem_lightning.inference.predictor.load`.
        predictor_options: Of the `Predictor`.
        classes: Classes besides those of the classifier.
        options: Order, second reviewers and claim.
        progress: See `judge_images`.

    Raises:
        UserError: No images, no such classifier, or a store that cannot be used.

    Example:
        >>> session = open_review(Path("my_images"), Path("review"))
        >>> session.next_images("anna", "notebook", "best", 8)
    """
    images = list_review_images(folder, output)
    output.mkdir(parents=True, exist_ok=True)
    predictor = load(ckpt, **(predictor_options or {}))
    names = check_classes(list(dict.fromkeys([*predictor.classes, *(classes or [])])))
    store = LabelStore(output / STORE)
    try:
        predictor.adopt_polarity([image.path for image in images if image.error is None])
        model = name_model(ckpt, predictor)
        judgements = judge_images(images, predictor, model, output / CACHE, progress)
        return ReviewSession(images, judgements, store, names, model, options or ReviewOptions())
    except BaseException:
        store.close()
        raise
