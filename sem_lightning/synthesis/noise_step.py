"""Further steps of the noise model from other packages."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.ranges import Settings, make_settings_classes
from sem_lightning.synthesis.sampling import draw_key


@dataclass(frozen=True)
class NoiseStep(ABC):
    """A change of the detected signal before digitisation, with all numbers drawn.

    A subclass declares its numbers as ``ranged`` fields, which are the keys of its YAML file, and overrides `apply`.
    A scene keeps the numbers, so that it can be rendered again exactly.

    Attributes:
        key: Seed of the step's own random numbers, drawn for each image.
    """

    name: ClassVar[str] = ""
    types: ClassVar[dict[str, type["NoiseStep"]]] = {}

    key: int

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in vars(cls):
            NoiseStep.types[cls.name] = cls

    @abstractmethod
    def apply(self, signal: Float32, rng: np.random.Generator) -> Float32:
        """The changed signal.

        Args:
            signal: float32 [H, W], 1 is white; read-only.
            rng: From ``key``; the same for the same scene.
        """

    def __call__(self, signal: Float32) -> Float32:
        """`apply` with the step's own random numbers."""
        return np.asarray(self.apply(signal, np.random.default_rng(self.key)), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the type."""
        return {"type": self.name, **dataclasses.asdict(self)}

    @staticmethod
    def from_dict(numbers: dict[str, Any]) -> "NoiseStep":
        """From a result of `to_dict`."""
        values = {name: value for name, value in numbers.items() if name != "type"}
        return NoiseStep.types[numbers["type"]](**values)


@dataclass
class NoiseStepSettings(Settings):
    """Ranges of one type of noise step; each type's own class is made from its ``ranged`` fields."""

    step_type: ClassVar[type[NoiseStep]]

    def draw(self, rng: np.random.Generator) -> NoiseStep:
        """The step of one image from the ranges."""
        names = [field.name for field in dataclasses.fields(self)]
        return self.step_type(key=draw_key(rng), **{name: self.draw_value(rng, name) for name in names})


STEP_SETTINGS: dict[str, type[NoiseStepSettings]] = {}


def make_step_settings() -> None:
    """Make the settings class of every type of noise step that has none, in the type's module for pickle."""
    make_settings_classes(NoiseStep.types.values(), STEP_SETTINGS, NoiseStepSettings, "step_type")
