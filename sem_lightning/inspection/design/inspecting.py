"""From an image and its design to an inspection."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inspection.design.comparison import Compared, compare_with_design
from sem_lightning.inspection.design.critical_dimension import measure_widths
from sem_lightning.inspection.design.design import Design, Raster
from sem_lightning.inspection.design.edge_placement import find_rim
from sem_lightning.inspection.design.labels import label
from sem_lightning.inspection.difference import at_rate, share_compared
from sem_lightning.inspection.inspection import (
    DEFECT,
    Deviations,
    EdgePlacement,
    Inspection,
    Matrix,
    Place,
    Registration,
    describe_compared,
)
from sem_lightning.inspection.places import find_places
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.io.images import ImageError
from sem_lightning.metrology.usability import find_fault
from sem_lightning.synthesis.defects.mix import GOOD

_SPOT = 28  # pixels of one spot of smoothed noise: 4 pi times the square of its width
_SPREAD = 1.1  # noise is not the same everywhere
_SCORES = (4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.5, 11.0, 13.0, 16.0)
_RATES = (443, 256, 158, 118, 92, 65, 46, 28, 20, 16, 8)  # places above these in a million pixels of outline


def inspect_design(image: GrayImage, design: Design, false_places: float) -> Inspection:
    """Compare an image with its design.

    Args:
        image: The image.
        design: See `open_design`.
        false_places: Expected number of false places.

    Raises:
        ImageError: A layout, and an image whose pixel size is not known.
        SettingError: Too large a window at this pixel size.
    """
    if design.is_layout and image.pixel_size is None:
        image = replace(image, pixel_size=design.pixel_size)
        if image.pixel_size is None:
            name = image.path or "array"
            raise ImageError(f"{name}: its pixel size is not known, which a layout needs; give pixel_size in nm")
    raster = design.raster(image.pixel_size)
    fault = find_fault(image.pixels)
    if fault is not None:
        return _conclude(image, design, raster, fault, None, ())
    scale = raster.pixel_size / image.pixel_size if raster.pixel_size and image.pixel_size else None
    found = compare_with_design(image.pixels, raster.coverage, scale)
    if isinstance(found, Registration):
        return _conclude(image, design, raster, found.fault, found, ())
    area, outline = (float(np.count_nonzero(each)) for each in (found.known, found.known & find_rim(found.drawn)))
    least = least_design_score(false_places, area, outline)
    places = label(find_places(found.scores, least), image.pixels, found)
    return _conclude(image, design, raster, None, found, places)


def least_design_score(false_places: float, area: float, outline: float) -> float:
    """The score above which a clean image shows ``false_places`` places on average.

    False places come from edges, in proportion to their length: from shadows, corners, and more roughness than is
    forgiven. Their rate is that of simulated clean images (`benchmarks/design.py --calibrate`), joined by straight
    lines in its logarithm. On flat ground they come from noise, normally distributed on spots of the difference's
    size; the score is no less than that needs.

    Args:
        false_places: Expected number for the whole image, above 0.
        area: Pixels that are compared.
        outline: Pixels of these on the design's outline.
    """
    noise = -_SPREAD * NormalDist().inv_cdf(min(false_places * _SPOT / (2 * max(area, _SPOT)), 0.25))
    return max(noise, at_rate(false_places * 1e6 / max(outline, 1), _SCORES, _RATES))


def _conclude(
    image: GrayImage,
    design: Design,
    raster: Raster,
    fault: str | None,
    found: Compared | Registration | None,
    places: tuple[Place, ...],
) -> Inspection:
    compared = found if isinstance(found, Compared) else None
    registration = compared.registration if compared else found if isinstance(found, Registration) else None
    share = share_compared([compared.known]) if compared else 0.0
    if registration is not None:
        middles = np.array([p.middle for p in places]).reshape(-1, 2)
        located = raster.locate(_move(middles, registration.matrix))
        places = tuple(replace(p, layout=(float(x), float(y))) for p, (x, y) in zip(places, located, strict=True))
    return Inspection(
        path=image.path,
        references=(str(design.path),),
        decision=UNSURE_NAME if fault is not None else DEFECT if places else GOOD,
        reason=fault,
        places=places,
        registration=registration,
        shape=(image.pixels.shape[0], image.pixels.shape[1]),
        pixel_size=image.pixel_size,
        data_bar_rows=image.data_bar_rows,
        remarks=(*describe_compared(share), *_remark(compared, image.pixel_size)) if compared else (),
        image=image.pixels,
        reference=np.where(compared.shown, compared.reference, np.float32(np.nan)) if compared else None,
        difference=compared.scores if compared else None,
        edges=_summarize(compared, raster, image.pixel_size) if compared else None,
        compared=share if compared else None,
    )


def _move(points: Matrix, matrix: Matrix) -> Matrix:
    return points @ matrix[:, :2].T + matrix[:, 2]


def _summarize(compared: Compared, raster: Raster, pixel_size: float | None) -> EdgePlacement:
    edges, size = compared.edges, pixel_size or 1.0
    (cds, cd_errors), (spaces, space_errors) = (
        measure_widths(compared.drawn, edges, compared.microscope.rounding, side) for side in (1, -1)
    )
    return EdgePlacement(
        points=edges.points,
        layout=raster.locate(_move(edges.points, compared.registration.matrix)),
        displacements=Deviations(size * edges.displacements),
        cd_errors=Deviations(size * cd_errors),
        space_errors=Deviations(size * space_errors),
        cds=size * cds,
        spaces=size * spaces,
        unit="nm" if pixel_size else "pixels",
    )


def _remark(compared: Compared, pixel_size: float | None) -> tuple[str, ...]:
    registration, scope = compared.registration, compared.microscope
    scale = 1 / float(np.sqrt(abs(np.linalg.det(registration.matrix[:, :2]))))
    size, unit = pixel_size or 1.0, "nm" if pixel_size else "pixels"
    remarks = [
        f"a pixel of the design is {scale:.4g} of the image",
        f"the feature is {'brighter' if scope.top > scope.ground else 'darker'} than the ground",
        f"edges lie {abs(scope.bias) * size:.3g} {unit} {'outside' if scope.bias > 0 else 'inside'} the design's, "
        f"corners are rounded by {scope.rounding * size:.3g} {unit}, and {compared.forgiven * size:.3g} {unit} are "
        "forgiven",
    ]
    if registration.periods:
        listed = " or ".join(f"({x:.0f}, {y:.0f})" for x, y in registration.periods)
        remarks.append(f"the design repeats itself, so it fits {listed} pixels away as well")
    return tuple(remarks)
