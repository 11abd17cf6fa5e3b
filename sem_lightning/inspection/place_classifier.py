"""Names places: what a place where an image differs from its reference shows."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inspection.difference import odds_of_score
from sem_lightning.inspection.inspection import DEFECT, Place
from sem_lightning.inspection.place_picture import PairPictures
from sem_lightning.inspection.places import CANDIDATE_SCORE, CANDIDATES, find_peaks
from sem_lightning.model.packaged import find_checkpoint
from sem_lightning.runtime.open_model import open_model
from sem_lightning.synthesis.field import Float32

_NEAR = 4  # pixels between two peaks of one place
# The surroundings of a place do not tell the network how noisy a pair is, and its odds are too high where there is
# little noise: rough edges are then as clear as defects are. The odds are those of this noise, times the pair's noise;
# the power of 1 was chosen on 720 pairs of dense metal (seeds 2901 and 2998), 240 pairs of other defects (2998) and 240
# drawn ones (2940).
_USUAL_NOISE = 0.33  # of the contrast


class PlaceClassifier:
    """A network of ``data=pairs`` that rates places.

    Args:
        name: A checkpoint.

    Attributes:
        file_hash: SHA-256 of its file.

    Raises:
        UserError: No such file, or not a checkpoint.
        SettingError: A classifier of whole images.
    """

    def __init__(self, name: str | Path) -> None:
        self._predictor = Predictor(open_model(name), tiling="off")
        if not self._predictor.settings.judges_places:
            raise SettingError("network", f"{name} judges whole images; train one with experiment=reference")
        with find_checkpoint(name).open("rb") as stream:
            self.file_hash = hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def labels(self) -> list[str]:
        """Classes of defects."""
        return self._predictor.classes[1:]

    def rate(self, pictures: PairPictures, scores: Float32) -> tuple[Place, ...]:
        """The peaks of a pair's scores, each with its class and the log odds that it is a defect.

        The odds are those of the network, or those that stand for as many false places as the score does, if these are
        higher: a plain difference counts even if the network does not know such a defect, and is then called `DEFECT`.
        Both are multiplied by the pair's noise.

        Peaks that lie on each other or nearly so are one place, with the class of the one with the highest odds. Those
        with the highest odds come first.

        Args:
            pictures: Of the pair.
            scores: float32 [H, W], see `compare`.
        """
        seen = find_peaks(scores, CANDIDATE_SCORE, CANDIDATES)
        found = self._predictor.stream(pictures.at(*place.middle) for place in seen)  # no sequence: no thread
        by_noise, rated = math.log(pictures.noise / _USUAL_NOISE), []
        for place, prediction in zip(seen, found, strict=True):
            assert isinstance(prediction, Prediction)  # arrays are always readable
            odds, by_score = -float(prediction.log_odds_good or 0.0), odds_of_score(place.score)
            defects = list(prediction.probabilities.items())[1:]
            label = max(defects, key=lambda each: each[1])[0] if odds >= min(by_score, 0.0) else DEFECT
            rated.append(replace(place, label=label, log_odds=round(max(odds, by_score) + by_noise, 3)))
        kept: list[Place] = []
        for place in sorted(rated, key=lambda place: -(place.log_odds or 0.0)):
            near = [number for number, other in enumerate(kept) if place.overlaps(other, _NEAR)]
            if near:
                kept[near[0]] = kept[near[0]].joined(place)
            else:
                kept.append(place)
        return tuple(kept)
