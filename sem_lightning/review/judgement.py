"""What a classifier says about the images of a folder, kept on the disk, so that a second start is immediate."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sem_lightning.decision.scores import Floats
from sem_lightning.inference.prediction import Prediction, UnreadableImage
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.result_files import without_nan
from sem_lightning.model.packaged import find_checkpoint
from sem_lightning.review.database import Database
from sem_lightning.review.images import ReviewImage
from sem_lightning.synthesis.field import Float32
from sem_lightning.version import __version__

CACHE = "scores.sqlite"  # in the output folder; may be deleted
_NUMBER = 0x53454D53  # "SEMS"
_AT_ONCE = 64  # images between two commits
_DIGITS = 6
_SCHEMA = """
CREATE TABLE judgements (
  sha256 TEXT NOT NULL,
  model TEXT NOT NULL,
  said TEXT NOT NULL,
  features BLOB NOT NULL,
  heatmap BLOB NOT NULL,
  PRIMARY KEY (sha256, model)
) STRICT;
"""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a classifier says about an image.

    Attributes:
        said: Plain values: ``label``, ``decision``, ``reason``, ``probabilities``, ``ood_score``, ``log_odds_good``,
            ``disagreement`` of the views, ``places``, ``height`` and ``width`` without the data bar, and its
            ``data_bar_rows``.
        features: float32 [D], of the network.
        heatmap: A PNG with a pixel for each cell, to lay over the image: the more probably not good, the more opaque.
    """

    said: dict[str, Any]
    features: Float32
    heatmap: bytes

    @staticmethod
    def of(found: Prediction) -> "Judgement":
        """From a prediction."""
        said = {
            "label": found.label,
            "decision": found.decision,
            "reason": found.reason,
            "probabilities": {name: round(p, _DIGITS) for name, p in found.probabilities.items()},
            "ood_score": found.ood_score,
            "log_odds_good": found.log_odds_good,
            "disagreement": round(view_disagreement(list(found.by_view.values())), _DIGITS),
            "places": [asdict(region) for region in found.regions],
            "height": found.shape[0],
            "width": found.shape[1],
            "data_bar_rows": found.data_bar_rows,
        }
        return Judgement(without_nan(said), np.asarray(found.features, np.float32), _draw_heatmap(found.heatmap))


def _draw_heatmap(heatmap: Float32) -> bytes:
    heat = np.clip(heatmap, 0, 1)
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    picture = np.dstack([colours, (heat * 190).astype(np.uint8)])
    return np.asarray(cv2.imencode(".png", picture)[1]).tobytes()


def view_disagreement(views: Sequence[Floats]) -> float:
    """How far the views of an image disagree: the Jensen-Shannon divergence of their probabilities, nats.

    It is the entropy of the mean less the mean of the entropies (J. Lin, IEEE Trans. Inf. Theory 37, 145 (1991)).

    Args:
        views: Probabilities, float64 [C] each.

    Returns:
        0 for a single view, or the same probabilities, to ``log(C)``.
    """
    stacked = np.stack(views)
    return max(0.0, float(entropy(stacked.mean(axis=0)[None])[0] - entropy(stacked).mean()))


def entropy(probabilities: Floats) -> Floats:
    """The entropy of each row of probabilities [N, C], nats: [N]."""
    found: Floats = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=1)
    return found


def name_model(ckpt: str, predictor: Predictor) -> str:
    """The classifier's name with a checksum of its files, and of how it judges images."""
    place = find_checkpoint(ckpt)
    files = sorted(each for each in place.iterdir() if each.is_file()) if place.is_dir() else [place]
    digest = hashlib.sha256(f"{__version__} {predictor.preprocessing!r}".encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"{place.stem} {digest.hexdigest()[:16]}"


def judge_images(
    images: Sequence[ReviewImage],
    predictor: Predictor,
    model: str,
    cache: Path,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> dict[str, Judgement | str]:
    """Judge every image once; what a stopped call has judged is not judged again.

    Args:
        images: Those that cannot be read are left out.
        predictor: The classifier; its polarity is decided already.
        model: See `name_model`.
        cache: The SQLite file that keeps the judgements.
        progress: Called with the number of images that are judged, and that are to be judged.

    Returns:
        By the SHA-256 of each file, the judgement, or why the file cannot be read.
    """
    database = Database(cache, _NUMBER, _SCHEMA)
    try:
        found: dict[str, Judgement | str] = dict(_read(database, model))
        missing = {image.sha256: image.path for image in images if image.error is None and image.sha256 not in found}
        waiting = list(missing.items())
        for start in range(0, len(waiting), _AT_ONCE):
            part = waiting[start : start + _AT_ONCE]
            judged = predictor.stream([path for _, path in part])
            fresh = dict(zip([sha256 for sha256, _ in part], map(_judgement_or_error, judged), strict=True))
            _write(database, model, fresh)
            found |= fresh
            progress(start + len(part), len(waiting))
        return found
    finally:
        database.close()


def _judgement_or_error(found: Prediction | UnreadableImage) -> Judgement | str:
    if isinstance(found, UnreadableImage):
        return str(found.error).removeprefix(f"{found.path}: ")
    return Judgement.of(found)


def _read(database: Database, model: str) -> Iterator[tuple[str, Judgement]]:
    query = "SELECT sha256, said, features, heatmap FROM judgements WHERE model = ?"
    rows: Any = database.rows(query, (model,))
    for sha256, said, features, heatmap in rows:
        yield sha256, Judgement(json.loads(said), np.frombuffer(features, np.float32), heatmap)


def _write(database: Database, model: str, fresh: dict[str, Judgement | str]) -> None:
    rows = [
        (sha256, model, json.dumps(each.said, allow_nan=False), each.features.tobytes(), each.heatmap)
        for sha256, each in fresh.items()
        if isinstance(each, Judgement)
    ]
    with database.transaction() as connection:
        connection.executemany("INSERT OR REPLACE INTO judgements VALUES (?, ?, ?, ?, ?)", rows)
