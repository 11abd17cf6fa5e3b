"""Ways to learn more from each simulated image; docs/training.md compares them."""

import math
from dataclasses import dataclass, replace

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.simulator import Simulator


@dataclass(frozen=True)
class Curriculum:
    """What the training scenes of early epochs look like, and whether scenes come in pairs.

    Attributes:
        small_field_epochs: First epochs that look at smaller fields of view, which are cheaper to train on.
        small_field_size: Image size in these, pixels of the same size in nm.
        easy_epochs: First epochs that draw from the easier half of the ranges: graver defects, higher doses.
        twins: Every other image is the one before it without its defect, so that half of them are good.
    """

    small_field_epochs: int = 0
    small_field_size: int = 64
    easy_epochs: int = 0
    twins: bool = False

    def early_stages(self, simulator: Simulator) -> list[Simulator]:
        """The simulators of the first epochs, one each; later ones use ``simulator`` itself.

        Raises:
            SettingError: A negative number of epochs, or small fields that cannot hold the pattern.
        """
        for key in ("small_field_epochs", "easy_epochs"):
            if getattr(self, key) < 0:
                raise SettingError(f"data.{key}", f"found {getattr(self, key)}, expected at least 0")
        stages = []
        for epoch in range(max(self.small_field_epochs, self.easy_epochs)):
            stage = _ease(simulator) if epoch < self.easy_epochs else simulator
            stages.append(self._shrink(stage) if epoch < self.small_field_epochs else stage)
        return stages

    def _shrink(self, simulator: Simulator) -> Simulator:
        try:
            return replace(simulator, imaging=replace(simulator.imaging, image_size=self.small_field_size))
        except SettingError as error:
            raise SettingError(
                "data.small_field_size",
                f"{self.small_field_size} pixels are too few ({error}); enlarge it or set data.small_field_epochs=0",
            ) from None


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
