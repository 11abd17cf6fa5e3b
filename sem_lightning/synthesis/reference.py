"""The reference of a pair: its numbers, where it lies on its image, and its rendering."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.imaging import Exposure, exposure_from_dict
from sem_lightning.synthesis.noise import Detection, Pixels
from sem_lightning.synthesis.noise_step import NoiseStep
from sem_lightning.synthesis.patterns.pattern import Pattern, clean_phi
from sem_lightning.synthesis.processing import Processing
from sem_lightning.synthesis.scan import Scan
from sem_lightning.synthesis.simulator import Scene, require_types

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReferenceScene:
    """All random choices of a reference beside those of its image's scene, as plain numbers.

    Attributes:
        key: Seed of its edges, and of the positions of holes.
        shift_x: Movement of the pattern's middle from the image to the reference, pixels to the right.
        shift_y: The same downwards.
        rotation: Turn of the pattern from the image to the reference about the middle, degrees from x towards y.
        scale: Size of the pattern in the reference, of that in the image.
        margin: Pixels around the image's field on which the brightness is computed before it is resampled.
        exposure: Image formation; its polarity is that of the image.
        detection: Noise.
        processing: Processing of the reference afterwards; it is inverted if the image is.
    """

    key: int
    shift_x: float
    shift_y: float
    rotation: float
    scale: float
    margin: int
    exposure: Exposure
    detection: Detection
    processing: Processing

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON. `from_dict` restores exactly the same reference."""
        return dataclasses.asdict(self) | {"detection": self.detection.to_dict()}

    @staticmethod
    def from_dict(numbers: dict[str, Any]) -> "ReferenceScene":
        """From a result of `to_dict`.

        Raises:
            UserError: A noise step is not registered by an installed package.
        """
        require_types(NoiseStep.types, numbers["detection"].get("steps", []))
        parts = {
            "exposure": exposure_from_dict(numbers["exposure"]),
            "detection": Detection.from_dict(numbers["detection"]),
            "processing": Processing(**numbers["processing"]),
        }
        return ReferenceScene(**{**numbers, **parts})

    def view(self, image: FieldOfView) -> FieldOfView:
        """The reference's field of view, for that of its image: as many pixels of another size."""
        return FieldOfView(image.height, image.width, image.pixel_size / self.scale)

    def placement(self, image: FieldOfView) -> Matrix:
        """The transform from the image to the reference if both scans were perfect: float64 [3, 3], pixels."""
        middle = np.array([(image.width - 1) / 2, (image.height - 1) / 2])
        turn = math.radians(self.rotation)
        cos, sin = self.scale * math.cos(turn), self.scale * math.sin(turn)
        matrix = np.array([[cos, -sin, self.shift_x], [sin, cos, self.shift_y], [0, 0, 1]])
        matrix[:2, 2] += middle - matrix[:2, :2] @ middle
        return matrix

    def ground_phi(self, pattern: Pattern, image: FieldOfView) -> Float32:
        """The pattern as the reference's die prints it, with the margin: float32 [H + 2 margin, W + 2 margin], nm."""
        ground = image.grown(self.margin)
        return clean_phi(pattern.framed(image, ground).reprinted(self.key), ground)

    def shows(self, matrix: Matrix, image: FieldOfView) -> npt.NDArray[np.bool_]:
        """Which of the image's pixels the reference shows above its scale bar: bool [H, W].

        Args:
            matrix: From the image to the reference, [2, 3] or [3, 3].
            image: The image's field of view.
        """
        free = np.ones(image.shape, np.uint8)
        free[image.height - self.processing.banner_height(image) :] = 0
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(free, matrix[:2], image.shape[::-1], flags=flags), np.uint8).view(np.bool_)


def drift_matrix(scan: Scan, view: FieldOfView) -> Matrix:
    """Place that each pixel shows with the drift of a scan alone: float64 [3, 3], pixels."""
    moved = np.array([scan.drift_x, scan.drift_y]) / view.pixel_size
    matrix = np.eye(3)
    matrix[:2, 1] += moved / view.height
    matrix[:2, 2] += moved * (0.5 / view.height - 0.5)
    return matrix


def margin_of(reference: ReferenceScene, image: FieldOfView) -> int:
    """Pixels around the image that the reference shows, with the width of its beam."""
    low, high = _shown(reference, image)
    return math.ceil(max(float(-low.min()), float((high - (image.width - 1, image.height - 1)).max()), 0.0))


def _shown(reference: ReferenceScene, image: FieldOfView) -> Matrix:
    """Least and greatest x and y in the image's pixels on which the reference depends: float64 [2, 2]."""
    scan, beam = reference.exposure.scan, reference.exposure.beam
    far = scan.reach(reference.detection.frames) / reference.view(image).pixel_size
    places = [[x, y, 1] for x in (-far, image.width - 1 + far) for y in (-far, image.height - 1 + far)]
    corners = (places @ np.linalg.inv(reference.placement(image)).T)[:, :2]
    wide = 3 * max(beam.widths) / image.pixel_size + 2
    return np.array([corners.min(axis=0) - wide, corners.max(axis=0) + wide])


def render_reference(scene: Scene, reference: ReferenceScene) -> Pixels:
    """The image of a reference: uint8 or uint16 [H, W]. The same scenes give the same bytes."""
    ground, view = scene.view.grown(reference.margin), reference.view(scene.view)
    phi = reference.ground_phi(scene.pattern, scene.view)
    low, high = _shown(reference, scene.view) + reference.margin
    left, top = (max(math.floor(each), 0) for each in low)
    phi = phi[top : math.ceil(high[1]) + 1, left : math.ceil(high[0]) + 1]
    # uneven light belongs to the reference's own field, so it follows after resampling
    even = dataclasses.replace(reference.exposure, uneven=0.0)
    part = FieldOfView(phi.shape[0], phi.shape[1], ground.pixel_size)
    brightness = even.render(np.ascontiguousarray(phi), (), part)
    brightness = _resample(brightness, (reference.margin - left, reference.margin - top), scene.view, reference)
    brightness = reference.exposure.light_unevenly(brightness)
    brightness = reference.exposure.scan.charge(brightness, view.pixel_size)
    return reference.processing.apply(reference.detection.render(brightness), view)


def _resample(brightness: Float32, offset: tuple[int, int], image: FieldOfView, reference: ReferenceScene) -> Float32:
    """What the reference's pixels show: its scan and the transform in one interpolation.

    Args:
        brightness: A part of the ground.
        offset: Column and row of the image's first pixel in that part.
        image: The image's field of view.
        reference: The reference's numbers.
    """
    view = reference.view(image)
    maps = reference.exposure.scan.maps(view, reference.detection.frames)
    if maps is None:
        maps = np.meshgrid(np.arange(view.width, dtype=np.float32), np.arange(view.height, dtype=np.float32))
    columns, rows = maps
    back = np.linalg.inv(reference.placement(image))
    back[:2, 2] += offset
    x, y = (np.asarray(a * columns + b * rows + c, np.float32) for a, b, c in back[:2].astype(np.float32))
    return np.asarray(cv2.remap(brightness, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)
