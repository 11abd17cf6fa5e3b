"""The settings of ``data=pairs``: places of simulated pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sem_lightning.checks import between
from sem_lightning.data.data_settings import DataSettings
from sem_lightning.synthesis.pairs import PairSettings, PairSimulator
from sem_lightning.synthesis.simulator import Simulator

if TYPE_CHECKING:
    from sem_lightning.data.sources import Source


@dataclass
class PlaceSettings(DataSettings):
    """``data=pairs`` (``conf/data/pairs.yaml`` documents every key)."""

    train_per_class: int
    val_per_class: int
    test_per_class: int
    calibration_per_class: int
    places: int
    pair: PairSettings

    def __post_init__(self) -> None:
        super().__post_init__()
        between("places", self.places, 2, 64, "places of each pair")

    def source(self, simulator: Simulator, seed: int) -> "Source":
        per_class = {
            "train": self.train_per_class,
            "val": self.val_per_class,
            "test": self.test_per_class,
            "calibration": self.calibration_per_class,
        }
        from sem_lightning.inspection.place_data import PlaceSource  # imports torch

        return PlaceSource(PairSimulator(simulator, self.pair), seed, per_class, self.places)
