"""The simulator: draws scenes from the configured ranges and renders them into labelled images."""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError, UserError
from sem_lightning.plugins import load_plugins
from sem_lightning.polarity import Polarity
from sem_lightning.synthesis.defects.defect import Defect
from sem_lightning.synthesis.defects.mix import GOOD, Defects
from sem_lightning.synthesis.field import FieldOfView, Float32, Window
from sem_lightning.synthesis.geometry import print_pattern, shows_last
from sem_lightning.synthesis.imaging import Exposure, Imaging, exposure_from_dict
from sem_lightning.synthesis.noise import Detection, Noise, Pixels
from sem_lightning.synthesis.noise_step import NoiseStep
from sem_lightning.synthesis.patterns import all_patterns
from sem_lightning.synthesis.patterns.pattern import Pattern
from sem_lightning.synthesis.processing import Processing, ProcessingSettings
from sem_lightning.synthesis.sampling import uniform
from sem_lightning.synthesis.scan import NEGATIVE_STREAM, resample, resample_mask

# Appended to (seed, split, index) for random numbers that are independent of the scene's stream. It must not be 0:
# NumPy pads seeds with zeros, so (seed, split, index, 0) would be the scene's stream.
LABEL_STREAM = 1
_SCENE_TRIES = 16


@dataclass(frozen=True)
class Scene:
    """All random choices of one image, as plain numbers.

    Attributes:
        seed: Seed of the data set.
        split: Number of the split (0 train, 1 val, 2 test, 3 calibration).
        index: Number of the image within its split.
        label: Class name.
        view: Field of view.
        pattern: The defect-free pattern.
        defects: The defects.
        exposure: Image formation.
        detection: Noise.
        processing: Processing of the image afterwards.
    """

    seed: int
    split: int
    index: int
    label: str
    view: FieldOfView
    pattern: Pattern
    defects: tuple[Defect, ...]
    exposure: Exposure
    detection: Detection
    processing: Processing

    @property
    def severity(self) -> float:
        """Highest severity of its defects, 0 to 1; 0 without defects."""
        return max((defect.severity for defect in self.defects), default=0.0)

    def without_defects(self) -> "Scene":
        """The same scene without its defects."""
        return dataclasses.replace(self, defects=(), label=GOOD)

    def phi(self) -> Float32:
        """The printed pattern with defects: float32 [H, W], nm, positive inside the feature."""
        return print_pattern(self.pattern, self.defects, self.view).phi

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON. `from_dict` restores exactly the same scene."""
        scene = dataclasses.asdict(self)
        scene["pattern"]["type"] = self.pattern.name
        for numbers, defect in zip(scene["defects"], self.defects, strict=True):
            numbers["type"] = defect.name
        scene["detection"] = self.detection.to_dict()
        return scene

    @staticmethod
    def from_dict(scene: dict[str, Any]) -> "Scene":
        """A scene from the result of `to_dict`; further top-level keys are ignored.

        Raises:
            UserError: The type of a pattern or defect is not registered by an installed package.
        """
        require_types(Pattern.types, [scene["pattern"]])
        require_types(Defect.types, scene["defects"])
        require_types(NoiseStep.types, scene["detection"].get("steps", []))
        pattern = {name: value for name, value in scene["pattern"].items() if name != "type"}
        return Scene(
            **{name: scene[name] for name in ("seed", "split", "index", "label")},
            view=FieldOfView(**scene["view"]),
            pattern=Pattern.types[scene["pattern"]["type"]].from_dict(pattern),
            defects=tuple(Defect.from_dict(numbers) for numbers in scene["defects"]),
            exposure=exposure_from_dict(scene["exposure"]),
            detection=Detection.from_dict(scene["detection"]),
            processing=Processing(**scene["processing"]),
        )


def require_types(known: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    """Load the plug-ins if the ``type`` of a part is not known.

    Raises:
        UserError: It is not known then either.
    """
    for part in parts:
        if part["type"] not in known:
            load_plugins()
        if part["type"] not in known:
            raise UserError(f"the scene has a {part['type']!r}, which no installed package registers")


@dataclass(frozen=True)
class Instance:
    """One defect in an image.

    Attributes:
        label: Class name.
        severity: 0 to 1.
        box: ``x, y, width, height`` in pixels.
        mask: uint8 [height, width], 1 where the defect is, inside the box.
    """

    label: str
    severity: float
    box: tuple[int, int, int, int]
    mask: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """A labelled image.

    Attributes:
        image: uint8 or uint16 [H, W].
        mask: uint8 [H, W], 1 where the printed pattern differs from the same pattern without defects.
        instances: Its defects, with boxes and masks.
        scene: The rendered scene; ``scene.label`` is the class.
    """

    image: Pixels
    mask: npt.NDArray[np.uint8]
    instances: list[Instance]
    scene: Scene


def render(scene: Scene) -> Sample:
    """Image, mask and boxes of a scene. The same scene gives the same bytes."""
    view = scene.view
    printed = print_pattern(scene.pattern, scene.defects, view)
    brightness = scene.exposure.render(printed.phi, printed.covers, view)
    maps = scene.exposure.scan.maps(view, scene.detection.frames)
    if maps is not None:
        brightness = resample(brightness, maps)
    brightness = scene.exposure.scan.charge(brightness, view.pixel_size)
    image = scene.processing.apply(scene.detection.render(brightness), view)
    mask = np.zeros(view.shape, np.uint8)
    instances = []
    for defect, (window, alone) in zip(scene.defects, printed.masks, strict=True):
        seen = alone.view(np.uint8)
        if maps is not None:
            window, seen = resample_mask(seen, window, maps)
        instances.append(_instance(scene.label, defect.severity, window, seen))
        np.maximum(mask[window], seen, out=mask[window])
    return Sample(image, mask, instances, scene)


def _instance(label: str, severity: float, window: Window, mask: npt.NDArray[np.uint8]) -> Instance:
    """A defect cropped to its box."""
    x, y, width, height = cv2.boundingRect(mask)
    box = (x + window[1].start, y + window[0].start, width, height)
    return Instance(label, severity, box, mask[y : y + height, x : x + width])


@dataclass
class Simulator:
    """The simulator with its five configured parts.

    Raises:
        SettingError: The parts contradict each other; the key is written as in the composed config.
    """

    pattern: all_patterns.PatternSettings
    defect: Defects
    imaging: Imaging
    noise: Noise
    processing: ProcessingSettings

    def __post_init__(self) -> None:
        view = self.imaging.view
        group = "pattern"
        try:
            self.pattern.check(view)
            group = "defect"
            self.defect.check(self.pattern.alternatives, view)
            group = "processing"
            self.processing.check(self.noise.bits, view)
        except SettingError as error:
            raise error.under(group) from None

    @property
    def classes(self) -> list[str]:
        """Class names in label order, ``good`` first."""
        return self.defect.classes

    @property
    def polarity(self) -> str | None:
        """Polarity of the images: ``bright`` or ``dark``; ``None`` if the patterns of a mixture differ.

        It is ``either`` if they differ and some images are inverted. A classifier trained on these can judge the
        inverted copy of an image that is known to be dark.
        """
        shown = {pattern.usual_polarity for pattern in self.pattern.alternatives}
        if self.imaging.polarity != "auto":
            shown = {self.imaging.polarity}
        negatives = self.processing.negative > 0
        if len(shown) > 1:
            return Polarity.EITHER if negatives else None
        (polarity,) = shown
        return None if polarity == "dark" and negatives else polarity

    @staticmethod
    def compose(*overrides: str) -> "Simulator":
        """The simulator of ``sem-preview`` with these overrides.

        Args:
            overrides: As on the command line: ``"pattern=routing"``, ``"noise=high"``. A folder ``conf`` in the current
                folder adds options, as for every command.

        Raises:
            SettingError: An invalid setting.

        Example:
            >>> simulator = Simulator.compose("pattern=routing", "noise=high")
        """
        from sem_lightning.config.compose import compose_simulator  # imports Hydra only if needed

        return compose_simulator(*overrides)

    def sample(self, index: int, label: str | None = None, seed: int = 0, split: int = 0) -> "Sample":
        """Draw and render one image.

        Args:
            index: Number of the image; the same number gives the same image.
            label: Its class; ``None`` takes the classes in turn.
            seed: Seed of the data set.
            split: Number of the split (0 train, 1 val, 2 test, 3 calibration).

        Raises:
            SettingError: No such class.
            UserError: See `draw`.

        Example:
            >>> sample = simulator.sample(7, label="bridge")  # image, mask, instances with boxes, scene
        """
        return render(self.draw(seed, split, index, self.label_of(index, label)))

    def label_of(self, index: int, label: str | None) -> str:
        """The class that is meant; ``None`` takes the classes in turn.

        Raises:
            SettingError: No such class.
        """
        if label is None:
            return self.classes[index % len(self.classes)]
        if label not in self.classes:
            raise SettingError("label", f"found {label!r}, expected one of {', '.join(self.classes)}")
        return label

    def draw(self, seed: int, split: int, index: int, label: str) -> Scene:
        """Scene ``index`` of a split. The result depends only on the arguments and the settings.

        Args:
            seed: Seed of the data set, not negative.
            split: Number of the split.
            index: Number of the scene in the split.
            label: Its class.

        Raises:
            UserError: Several patterns have no place for the defect.
        """
        rng = np.random.default_rng([seed, split, index])
        return self.draw_within(rng, (seed, split, index), label, self.imaging.view)

    def draw_within(
        self,
        rng: np.random.Generator,
        number: tuple[int, int, int],
        label: str,
        ground: FieldOfView,
        place: npt.NDArray[np.bool_] | None = None,
    ) -> Scene:
        """A scene whose design covers more than the image shows.

        Args:
            rng: Source of its random numbers.
            number: Seed, split and index.
            label: Its class.
            ground: The area of the design, around the middle of the image.
            place: Where its defects may be, bool [H, W]; ``None`` is anywhere in the image.

        Raises:
            UserError: Several patterns have no place for the defect.
        """
        # One stream. Each part draws the same count of numbers for any ranges, so a changed noise keeps the geometry.
        # Defects are drawn last, so a scene with and without its defects shares all other numbers.
        view = self.imaging.view
        for _ in range(_SCENE_TRIES):
            chosen = self.pattern.choose(rng, functools.partial(self.defect.has_place, label))
            pattern = chosen.draw(rng, ground).framed(ground, view)
            exposure = self.imaging.draw(rng, chosen.usual_polarity)
            detection = self.noise.draw(rng)
            processing = self.processing.draw(rng)
            # a separate stream, so that older scenes do not change
            negative = self.processing.negative
            if negative > 0 and uniform(exposure.scan.key, NEGATIVE_STREAM, (1,))[0] < negative:
                exposure = dataclasses.replace(exposure, polarity="dark")
                processing = dataclasses.replace(processing, negative=True)
            is_visible = functools.partial(
                shows_last,
                pattern,
                view=view,
                scan=exposure.scan,
                frames=detection.frames,
                covered_rows=processing.banner_height(view),
                place=place,
            )
            defects = self.defect.draw(rng, label, pattern, view, is_visible)
            if defects is not None:
                return Scene(*number, label, view, pattern, defects, exposure, detection, processing)
        raise UserError(
            f"defect.{label}: found no place for it in {_SCENE_TRIES} patterns (image {number[-1]}); enlarge the field "
            "of view (imaging.image_size), or choose a larger defect or another pattern"
        )
