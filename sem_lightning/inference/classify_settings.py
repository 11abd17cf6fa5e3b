"""The settings with which commands judge images that come to them."""

from dataclasses import dataclass
from typing import Any

from sem_lightning.checks import between, one_of


@dataclass
class ClassifySettings:
    """How ``sem-serve``, ``sem-watch`` and ``sem-review`` judge images; ``conf/serve.yaml`` documents every key."""

    ckpt: str
    polarity: str | None
    tiling: str
    pixel_size: float | None
    data_bar: str
    device: str

    def __post_init__(self) -> None:
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        if self.pixel_size is not None:
            between("pixel_size", self.pixel_size, 1e-3, 1e6, "nm")

    def predictor_options(self) -> dict[str, Any]:
        """Options of the Predictor."""
        names = ("polarity", "tiling", "pixel_size", "device")
        return {name: getattr(self, name) for name in names} | {"crop_data_bar": self.data_bar == "auto"}
