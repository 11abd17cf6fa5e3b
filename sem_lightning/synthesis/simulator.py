"""The simulator: draws scenes from the configured ranges, and renders any scene into a labelled image."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defect import PATCHES, BasicDefects, Patch
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.imaging import Exposure, Imaging
from sem_lightning.synthesis.noise import Detection, Noise
from sem_lightning.synthesis.pattern import Lines, LineSpace
from sem_lightning.synthesis.texture import Grain

# Added to (seed, split, index) for numbers that must not depend on the scene's own. Not 0: NumPy's seeding pads with
# zeros, so that (seed, split, index, 0) would be the scene's stream again.
LABEL_STREAM = 1


@dataclass(frozen=True)
class Scene:
    """Every random choice behind one image, as plain numbers.

    Attributes:
        seed: Seed of the data set.
        split: Number of the split (0 train, 1 val, 2 test, 3 calibration).
        index: Number of the image within its split.
        label: Class name.
        view: Field of view.
        pattern: The defect-free pattern.
        defect: What is wrong with it, if anything.
        exposure: Image formation.
        detection: Noise.
    """

    seed: int
    split: int
    index: int
    label: str
    view: FieldOfView
    pattern: Lines
    defect: Patch | None
    exposure: Exposure
    detection: Detection

    def twin(self) -> "Scene":
        """The same scene without its defect."""
        return dataclasses.replace(self, defect=None, label="good")

    def phi(self) -> Float32:
        """The printed pattern, defect included: float32 [H, W], nm, positive inside the feature."""
        phi = self.pattern.phi(self.view)
        return phi if self.defect is None else self.defect.apply(phi, self.pattern, self.view)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; `from_dict` gives the same scene back, bit for bit."""
        scene = dataclasses.asdict(self)
        if self.defect is not None:
            scene["defect"]["type"] = next(name for name, kind in PATCHES.items() if isinstance(self.defect, kind))
        return scene

    @staticmethod
    def from_dict(scene: dict[str, Any]) -> "Scene":
        """A scene from what `to_dict` wrote (JSON objects may carry further keys beside the scene's own)."""
        defect = scene["defect"]
        if defect is not None:
            numbers = {name: value for name, value in defect.items() if name != "type"}
            defect = PATCHES[defect["type"]](**numbers)
        return Scene(
            **{name: scene[name] for name in ("seed", "split", "index", "label")},
            view=FieldOfView(**scene["view"]),
            pattern=Lines(**scene["pattern"]),
            defect=defect,
            exposure=Exposure(**{**scene["exposure"], "grain": Grain(**scene["exposure"]["grain"])}),
            detection=Detection(**scene["detection"]),
        )


@dataclass(frozen=True)
class Sample:
    """A labelled image.

    Attributes:
        image: uint8 [H, W].
        mask: uint8 [H, W], 1 where the printed pattern differs from its defect-free twin.
        boxes: ``[x, y, width, height]`` in pixels, one around each defect.
        scene: What was rendered; ``scene.label`` is the class.
    """

    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]
    boxes: list[list[int]]
    scene: Scene


def render(scene: Scene) -> Sample:
    """The image, mask and boxes of a scene; the same scene gives the same bytes."""
    phi = scene.pattern.phi(scene.view)
    mask, boxes = np.zeros(phi.shape, np.uint8), []
    if scene.defect is not None:
        printed = scene.defect.apply(phi, scene.pattern, scene.view)
        mask = ((printed > 0) != (phi > 0)).view(np.uint8)
        boxes = [list(cv2.boundingRect(mask))]
        phi = printed
    image = scene.detection.render(scene.exposure.render(phi, scene.view))
    return Sample(image, mask, boxes, scene)


@dataclass
class Simulator:
    """The four configured parts together.

    Raises:
        SettingError: Parts that contradict each other, the key written as in the composed config.
    """

    pattern: LineSpace
    defect: BasicDefects
    imaging: Imaging
    noise: Noise

    def __post_init__(self) -> None:
        try:
            self.pattern.check(self.imaging.view)
        except SettingError as error:
            raise error.under("pattern") from None
        try:
            self.defect.check(self.pattern, self.imaging.view)
        except SettingError as error:
            raise error.under("defect") from None

    @property
    def classes(self) -> list[str]:
        return self.defect.classes

    def draw(self, seed: int, split: int, index: int, label: str) -> Scene:
        """Scene ``index`` of a split: the same numbers wherever, whenever and in whatever order it is asked for.

        Args:
            seed: Seed of the data set, not negative.
            split: Number of the split.
            index: Number of the scene in it.
            label: Its class.
        """
        # One stream, from which every part takes the same count of numbers whatever its ranges are: a changed noise
        # leaves the geometry. The defect comes last: a scene and its twin share every number but the defect's.
        rng = np.random.default_rng([seed, split, index])
        view = self.imaging.view
        pattern = self.pattern.draw(rng)
        exposure = self.imaging.draw(rng)
        detection = self.noise.draw(rng)
        defect = self.defect.draw(rng, label, pattern, view)
        return Scene(seed, split, index, label, view, pattern, defect, exposure, detection)
