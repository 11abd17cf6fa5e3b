"""The settings of a fit."""

import re
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.checks import one_of
from sem_lightning.errors import SettingError
from sem_lightning.io.pixel_size import LARGEST
from sem_lightning.polarity import POLARITIES
from sem_lightning.synthesis.imaging import Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.patterns.line_space import LineSpace
from sem_lightning.synthesis.patterns.routing import Routing

_OURS = ("metal",)  # microscopes in the package
_FAMILIES = ("line_space", "routing")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class FitSettings:
    """``conf/fit.yaml`` documents every key."""

    lines: LineSpace
    wires: Routing
    imaging: Imaging
    noise: Noise
    images: str
    name: str
    output: str | None
    report: str | None
    family: str
    polarity: str
    pixel_size: float | None
    data_bar: str
    overwrite: bool

    def __post_init__(self) -> None:
        one_of("family", self.family, ("auto", *_FAMILIES))
        one_of("polarity", self.polarity, ("auto", *POLARITIES))
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        if not _NAME.fullmatch(self.name):
            raise SettingError("name", f"found {self.name!r}, expected letters, digits, - and _")
        if self.name in _OURS and self.output is None:
            raise SettingError("name", f"{self.name} comes with the package; choose another, or give output=")
        for key, usual in (("polarity", "auto"), ("pixel_size", 1.0)):
            if getattr(self.imaging, key) != usual:
                raise SettingError(f"imaging.{key}", f"is not asked for here; use {key}=")
        if self.pixel_size is not None and not 0 < self.pixel_size <= LARGEST:
            raise SettingError("pixel_size", f"found {self.pixel_size:g}, expected above 0 to {LARGEST:g} nm")
        if self.output and (Path(self.output).suffix != ".yaml" or Path(self.output).parent.name != "microscope"):
            raise SettingError("output", f"found {self.output!r}, expected .../microscope/NAME.yaml")
