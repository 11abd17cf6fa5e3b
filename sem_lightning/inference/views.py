"""Views: the whole image at several sizes (multi-scale test-time augmentation)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sem_lightning.inference.inversion import Inversion
from sem_lightning.io.images import resize_to, whole_shape
from sem_lightning.synthesis.field import Float32

# The second view of a small image may enlarge it by half: this helps on fine lines. Coarse lines are misjudged,
# so its weight is halved (docs/explanation/views-and-polarity.md). The weight of a larger view is the square root of
# its size, because it shows more detail.
_MOST_ENLARGED = (math.inf, 1.5)  # per side, for the first and the second view; further views do not enlarge
_ENLARGED_WEIGHT = 0.5
_NEAR = 0.1  # an image that exceeds its largest view by more than this share also gets a view at its own size
_ORIGINAL_WEIGHT = 0.5  # weight of an image relative to its inverted copy


@dataclass(frozen=True)
class View:
    """The whole image at one size.

    Attributes:
        scale: Size relative to the first view.
        image: float32 [h, w].
        weight: Weight in the aggregation of the views.
        enlarged: Whether the view has more pixels than the image.
    """

    scale: float
    image: Float32
    weight: float = 1.0
    enlarged: bool = False


def make_views(
    image: Float32, image_size: int, scales: Sequence[float], inversion: Inversion = Inversion.NONE
) -> list[View]:
    """The image at each scale for which it has enough pixels; the aspect ratio is kept.

    The first view is always made, the second enlarges by half at most, and further views do not enlarge. An image that
    is clearly larger than its largest view, and too small for the next one, also gets a view at its own size.

    Args:
        image: float32 [H, W].
        image_size: Side of a square with as many pixels as the first view, see `whole_shape`.
        scales: Size of each view times ``image_size``; increasing, the first is 1.
        inversion: ``INVERTED_AND_ORIGINAL`` adds the inverted image's views before the image's own.
    """
    side = math.sqrt(image.shape[0] * image.shape[1])
    used = [
        scale
        for number, scale in enumerate(scales)
        if round(scale * image_size) <= side * (_MOST_ENLARGED[number] if number < len(_MOST_ENLARGED) else 1)
    ]
    if used[-1] * image_size * (1 + _NEAR) < side < scales[-1] * image_size:
        used.append(int(side) / image_size)
    views = []
    for number, scale in enumerate(used):
        size = round(scale * image_size)
        whole = resize_to(image, whole_shape(image.shape[0] / image.shape[1], size))
        enlarged = size > side
        weight = math.sqrt(scale) * (_ENLARGED_WEIGHT if number and enlarged else 1.0)
        views.append(View(scale, np.ascontiguousarray(whole), weight, enlarged))
    if inversion is Inversion.NONE:
        return views
    inverted = [replace(view, image=1 - view.image) for view in views]
    if inversion is Inversion.INVERTED:
        return inverted
    return inverted + [replace(view, weight=_ORIGINAL_WEIGHT * view.weight) for view in views]
