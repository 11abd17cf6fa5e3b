"""Curricula for simulated training images; docs/results/training.md compares them."""

import math
from dataclasses import dataclass, replace

from sem_lightning.checks import between
from sem_lightning.errors import SettingError
from sem_lightning.synthesis.simulator import Simulator

_MAX_EPOCHS = 10_000
STAGE_KEYS = ("small_field_epochs", "large_field_every", "easy_epochs")  # all 0 if all epochs are equal


@dataclass(frozen=True)
class Stages:
    """The simulators of all training epochs, see `Curriculum`."""

    early: tuple[Simulator, ...]
    usual: Simulator
    large: Simulator | None
    large_every: int

    def of(self, epoch: int) -> Simulator:
        """The simulator of an epoch; the first epoch is 0."""
        if epoch < len(self.early):
            return self.early[epoch]
        if self.large is not None and (epoch + 1) % self.large_every == 0:
            return self.large
        return self.usual


@dataclass(frozen=True)
class Curriculum:
    """Changes to the training scenes of some epochs, and whether scenes come in pairs.

    Attributes:
        small_field_epochs: Number of first epochs with smaller fields of view, which take less time.
        small_field_size: Image size in these epochs, pixels of the same size in nm.
        large_field_every: Every n-th epoch uses larger fields of view, like the larger views of inference; 0 for never.
        large_field_size: Image size in these epochs, pixels of the same size in nm.
        easy_epochs: Number of first epochs that draw from the easier half of the ranges: higher severity and dose.
        paired_negatives: Every second image repeats the previous one without its defect, so half of them are good.
    """

    small_field_epochs: int = 0
    small_field_size: int = 64
    large_field_every: int = 0
    large_field_size: int = 256
    easy_epochs: int = 0
    paired_negatives: bool = False

    def stages(self, simulator: Simulator) -> Stages:
        """The simulators of all epochs; ordinary epochs use ``simulator``.

        Raises:
            SettingError: A negative number of epochs, or fields too small for the pattern.
        """
        for key in STAGE_KEYS:
            between(f"data.{key}", getattr(self, key), 0, _MAX_EPOCHS, "epochs")
        early = []
        for epoch in range(max(self.small_field_epochs, self.easy_epochs)):
            stage = _ease(simulator) if epoch < self.easy_epochs else simulator
            small = epoch < self.small_field_epochs
            early.append(_resize(stage, "small_field_size", self.small_field_size) if small else stage)
        every, usual = self.large_field_every, simulator.imaging.image_size
        if every and self.large_field_size <= usual:
            found = f"found {self.large_field_size}, expected more than the {usual} pixels of other epochs"
            raise SettingError("data.large_field_size", found)
        large = _resize(simulator, "large_field_size", self.large_field_size) if every else None
        return Stages(tuple(early), simulator, large, every)

    @property
    def has_stages(self) -> bool:
        """Whether epochs differ."""
        return any(getattr(self, key) for key in STAGE_KEYS)


def _resize(simulator: Simulator, key: str, size: int) -> Simulator:
    try:
        return replace(simulator, imaging=replace(simulator.imaging, image_size=size))
    except SettingError as error:
        raise SettingError(f"data.{key}", f"found {size}, which fields cannot have ({error})") from None


def _ease(simulator: Simulator) -> Simulator:
    types = {
        name: replace(settings, severity=(sum(settings.severity) / 2, settings.severity[1]))
        for name, settings in simulator.defect.types.items()
    }
    dose = simulator.noise.dose
    easier_dose = None if dose is None else (math.sqrt(dose[0] * dose[1]), dose[1])
    return replace(
        simulator, defect=replace(simulator.defect, types=types), noise=replace(simulator.noise, dose=easier_dose)
    )
