"""The settings of ``data=pairs``: places of simulated pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sem_lightning.checks import between
from sem_lightning.data.data_settings import SimulatedSettings
from sem_lightning.synthesis.pairs import PairSettings, PairSimulator
from sem_lightning.synthesis.simulator import Simulator

if TYPE_CHECKING:
    from sem_lightning.data.sources import Source


@dataclass
class PlaceSettings(SimulatedSettings):
    """``data=pairs`` (``conf/data/pairs.yaml`` documents every key)."""

    places: int
    pair: PairSettings

    def __post_init__(self) -> None:
        super().__post_init__()
        between("places", self.places, 2, 64, "places of each pair")

    def source(self, simulator: Simulator, seed: int) -> "Source":
        from sem_lightning.inspection.place_data import PlaceSource  # imports torch

        return PlaceSource(PairSimulator(simulator, self.pair), seed, self.per_class, self.places)
