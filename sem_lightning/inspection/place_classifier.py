"""Names places: what a place where an image differs from its reference shows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import load
from sem_lightning.inspection.inspection import Place
from sem_lightning.inspection.place_picture import PairPictures

_MOST = 16  # places of an image that the network looks at, those with the highest scores


class PlaceClassifier:
    """A network of ``data=pairs`` that rates places.

    Args:
        name: A checkpoint.

    Raises:
        UserError: No such file, or not a checkpoint.
        SettingError: A classifier of whole images.
    """

    def __init__(self, name: str | Path) -> None:
        self._predictor = load(name, tiling="off")
        if not self._predictor.settings.judges_places:
            raise SettingError("network", f"{name} judges whole images; train one with experiment=reference")

    def rate(self, pictures: PairPictures, places: Sequence[Place]) -> tuple[Place, ...]:
        """The places with the highest scores, each with its class and the log odds that it is a defect."""
        seen = places[:_MOST]
        found = self._predictor.stream([pictures.at(*place.middle) for place in seen])
        rated = []
        for place, prediction in zip(seen, found, strict=True):
            assert isinstance(prediction, Prediction)  # arrays are always readable
            defects = list(prediction.probabilities.items())[1:]
            label = max(defects, key=lambda each: each[1])[0]
            rated.append(replace(place, label=label, log_odds=round(-float(prediction.log_odds_good or 0.0), 3)))
        return tuple(sorted(rated, key=lambda place: -(place.log_odds or 0.0)))
