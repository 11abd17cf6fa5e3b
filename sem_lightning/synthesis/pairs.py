"""Pairs: an image and its reference, the same design on another die, with a known transform between the two."""

import dataclasses
import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError, UserError
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.imaging import Exposure, Imaging
from sem_lightning.synthesis.noise import Pixels
from sem_lightning.synthesis.patterns.pattern import clean_phi
from sem_lightning.synthesis.patterns.shapes import Polygon, Shapes
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.reference import Matrix, ReferenceScene, drift_matrix, margin_of, render_reference
from sem_lightning.synthesis.sampling import draw_key
from sem_lightning.synthesis.simulator import Sample, Scene, Simulator, render
from sem_lightning.synthesis.topology import Bools, same_topology

# Appended to (seed, split, index), as `simulator.LABEL_STREAM` is: pairs share no random number with other images.
PAIR_STREAM = 2
_PAIR_TRIES = 16
_LEAST_ROUGHNESS = 0.02  # nm, below which edges are smooth
_OF_MATERIALS = ("polarity", "bloom_inside", "bloom_outside", "asymmetry", "shadow", "shadow_range")


@dataclass
class PairSettings(Settings):
    """Ranges of the transform from an image to its reference (``conf/pair/*.yaml`` document each)."""

    shift: Range = ranged("of the field", low=0, high=0.25, why="farther apart they share too little")
    rotation: Range = ranged("degrees", low=-2, high=2, why="wafers are aligned better than that")
    scale: Range = ranged("", low=0.97, high=1.03, why="magnifications agree better than that")

    def margin(self, imaging: Imaging) -> int:
        """Pixels around the image that no reference's field leaves, and that the design therefore covers."""
        turn = math.radians(max(map(abs, self.rotation)))
        half = (math.cos(turn) + math.sin(turn)) / 2 + self.shift[1]
        shaken = imaging.drift[1] / 2 + imaging.vibration[1] + 5 * imaging.jitter[1]
        beyond: float = imaging.image_size * (half / self.scale[0] - 0.5) + shaken / imaging.pixel_size
        return math.ceil(beyond) + 1


@dataclass(frozen=True, eq=False)
class Pair:
    """An image and its reference: the same design on another die, without defects.

    Attributes:
        image: The labelled image.
        reference: uint8 or uint16 [H, W], of the image's type.
        matrix: float64 [2, 3]: the reference's (x, y) of the image's (x, y, 1), pixels. It includes the drift of both
            scans, not their jitter and vibration.
        reference_scene: The reference's own numbers.
    """

    image: Sample
    reference: Pixels
    matrix: Matrix
    reference_scene: ReferenceScene

    @property
    def overlap(self) -> npt.NDArray[np.bool_]:
        """Which of the image's pixels the reference shows above its scale bar: bool [H, W]."""
        return self.reference_scene.shows(self.matrix, self.image.scene.view)


def render_pair(scene: Scene, reference: ReferenceScene) -> Pair:
    """The pair of two scenes. The same scenes give the same bytes."""
    before = drift_matrix(scene.exposure.scan, scene.view)
    after = drift_matrix(reference.exposure.scan, reference.view(scene.view))
    matrix = np.linalg.inv(after) @ reference.placement(scene.view) @ before
    return Pair(render(scene), render_reference(scene, reference), matrix[:2], reference)


@dataclass
class PairSimulator:
    """Simulates images with a reference each.

    The reference shows the same design with rough edges, noise, dose, focus, charging and scan of its own, shifted,
    turned and scaled. Both are drawn from the same settings.

    Attributes:
        simulator: The simulator of both.
        settings: Ranges of the transform.

    Raises:
        SettingError: The pattern cannot cover the fields of both.
    """

    simulator: Simulator
    settings: PairSettings

    def __post_init__(self) -> None:
        ground = self.ground
        try:
            self.simulator.pattern.check(ground)
        except SettingError as error:
            size = f"pairs need {ground.extent[0]:g} nm of it, less with a smaller pair.shift"
            raise SettingError(f"pattern.{error.key}", f"{error.reason} ({size})") from None

    @staticmethod
    def compose(*overrides: str) -> "PairSimulator":
        """The simulator of ``sem-preview pair=any`` with these overrides.

        Args:
            overrides: As for `Simulator.compose`, and those of ``pair``: ``"pair.shift=[0,0.1]"``.

        Raises:
            SettingError: An invalid setting.

        Example:
            >>> simulator = PairSimulator.compose("pattern=routing", "noise=high", "pair.shift=[0,0.1]")
        """
        from sem_lightning.config.compose import compose_pairs  # imports Hydra only if needed

        return compose_pairs(*overrides)

    @property
    def classes(self) -> list[str]:
        """Class names in label order, ``good`` first."""
        return self.simulator.classes

    @property
    def ground(self) -> FieldOfView:
        """The area that every design covers, because a reference may show parts that its image does not show."""
        return self.simulator.imaging.view.grown(self.settings.margin(self.simulator.imaging))

    def sample(self, index: int, label: str | None = None, seed: int = 0, split: int = 0) -> Pair:
        """Draw and render one pair.

        Args:
            index: Number of the pair; the same number gives the same pair.
            label: Class of the image; ``None`` takes the classes in turn. A pair is ``good`` if neither has a defect.
            seed: Seed of the data set.
            split: Number of the split (0 train, 1 val, 2 test, 3 calibration).

        Raises:
            SettingError: No such class, or settings that make the reference the very same image.
            UserError: See `draw`.

        Example:
            >>> pair = simulator.sample(7, label="bridge")  # image, reference, matrix
        """
        pair = render_pair(*self.draw(seed, split, index, self.simulator.label_of(index, label)))
        if _is_twin(pair):
            raise SettingError(
                "pair",
                "the reference would be the image without its defect, bit by bit; allow a shift, roughness or noise",
            )
        return pair

    def draw(self, seed: int, split: int, index: int, label: str) -> tuple[Scene, ReferenceScene]:
        """Image and reference ``index`` of a split. The result depends only on the arguments and the settings.

        The image's scene is not the one that `Simulator.draw` draws under this number.

        Args:
            seed: Seed of the data set, not negative.
            split: Number of the split.
            index: Number of the pair in the split.
            label: Class of the image. Its defects are where the reference shows the same place.

        Raises:
            UserError: Several patterns have no place for the defect, or show nothing.
        """
        rng = np.random.default_rng([seed, split, index, PAIR_STREAM])
        view = self.simulator.imaging.view
        drawn = self._draw_reference(rng)  # first, so that it does not depend on the label
        place = drawn.shows(drawn.placement(view), view)
        for _ in range(_PAIR_TRIES):
            scene = self.simulator.draw_within(rng, (seed, split, index), label, self.ground, place)
            phi = clean_phi(scene.pattern, view)
            if phi.min() < 0 < phi.max():  # a part of a sparse design may be empty
                exposure = _of_same_materials(drawn.exposure, scene.exposure)
                processing = dataclasses.replace(drawn.processing, negative=scene.processing.negative)
                drawn = dataclasses.replace(drawn, exposure=exposure, processing=processing)
                return _without_print_defects(scene, drawn), drawn
        raise UserError(f"pattern: {_PAIR_TRIES} fields of view show no edge (pair {index}); choose a denser pattern")

    def _draw_reference(self, rng: np.random.Generator) -> ReferenceScene:
        """The reference's numbers; its polarity follows."""
        settings, imaging = self.settings, self.simulator.imaging
        shift = settings.draw_value(rng, "shift") * imaging.image_size
        heading = 2 * math.pi * rng.random()
        drawn = ReferenceScene(
            key=draw_key(rng),
            shift_x=shift * math.cos(heading),
            shift_y=shift * math.sin(heading),
            rotation=settings.draw_value(rng, "rotation"),
            scale=settings.draw_value(rng, "scale"),
            margin=0,
            exposure=imaging.draw(rng, "bright"),
            detection=self.simulator.noise.draw(rng),
            processing=self.simulator.processing.draw(rng),
        )
        return dataclasses.replace(drawn, margin=margin_of(drawn, imaging.view))


def _without_print_defects(scene: Scene, reference: ReferenceScene) -> Scene:
    """The scene of a design that both dies print alike.

    Rough edges may close or open a small via on one die and not on the other, which no good pair shows. Such vias are
    left out. If the prints still connect other parts, their edges are made smoother.
    """
    pattern = scene.pattern
    if not isinstance(pattern, Shapes):
        return scene
    prints = _prints(pattern, scene.view, reference)
    windows = [_around(cutout, scene.view) for cutout in pattern.cutouts]
    kept = [not prints[0][window].size or same_topology(*(each[window] for each in prints)) for window in windows]
    if not all(kept):
        pattern = dataclasses.replace(pattern, cutouts=tuple(itertools.compress(pattern.cutouts, kept)))
    while pattern.roughness.sigma > 0 and not same_topology(*_prints(pattern, scene.view, reference)):
        smaller = pattern.roughness.sigma / 2
        roughness = dataclasses.replace(pattern.roughness, sigma=smaller if smaller > _LEAST_ROUGHNESS else 0.0)
        pattern = dataclasses.replace(pattern, roughness=roughness)
    return dataclasses.replace(scene, pattern=pattern)


def _prints(pattern: Shapes, view: FieldOfView, reference: ReferenceScene) -> tuple[Bools, Bools]:
    """The feature's pixels on both dies, in the image's field of view: bool [H, W] each."""
    printed = reference.ground_phi(pattern, view)[reference.margin :, reference.margin :]
    return clean_phi(pattern, view) > 0, printed[: view.height, : view.width] > 0


def _around(polygon: Polygon, view: FieldOfView) -> tuple[slice, slice]:
    """The part of an image with a polygon and as much around it."""
    low, high = np.min(polygon, axis=0), np.max(polygon, axis=0)
    x, y = (low + high) / 2
    return view.window(float(x), float(y), float((high - low).max()))


def _of_same_materials(drawn: Exposure, scene: Exposure) -> Exposure:
    """The exposure with the other one's materials: both dies went through one process.

    The drawn brightness and contrast stay, as gain and offset of the detector, so the bloom grows with the contrast.
    """
    grain = dataclasses.replace(scene.grain, key=drawn.grain.key)
    same = {name: getattr(scene, name) for name in _OF_MATERIALS}
    return dataclasses.replace(drawn, grain=grain, bloom=scene.bloom * drawn.contrast / scene.contrast, **same)


def _is_twin(pair: Pair) -> bool:
    """Whether the reference is the image without its defects, to the last bit, except at the borders.

    An image does not know what lies beyond its border, its reference does.
    """
    height, width = pair.reference.shape
    inner = (slice(height // 8, -height // 8), slice(width // 8, -width // 8))
    if np.count_nonzero(pair.image.image[inner] != pair.reference[inner]) > pair.reference[inner].size / 2:
        return False  # the usual case costs no further rendering
    return np.array_equal(render(pair.image.scene.without_defects()).image[inner], pair.reference[inner])
