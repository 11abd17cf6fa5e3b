"""A two-sample test: the accuracy of a classifier that separates two sets of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from sem_lightning.synthesis.field import Float32

PATCH = 32
_RINGS = 6
_QUANTILES = np.linspace(0.02, 0.98, 9)
_DECAY = 1e-2  # weight decay of the classifier

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwoSampleTest:
    """The result of a classifier two-sample test (Lopez-Paz and Oquab, ICLR 2017).

    Attributes:
        right: Number of correctly assigned unseen patches.
        patches: Number of unseen patches, half from each set.
    """

    right: int
    patches: int

    @property
    def accuracy(self) -> float:
        """0.5 if the classifier cannot separate the sets, 1 if it separates all patches."""
        return self.right / self.patches


def compare(real: Sequence[Float32], simulated: Sequence[Float32]) -> TwoSampleTest:
    """Separate patches of ``PATCH`` pixels by logistic regression on grey levels, spectrum and neighbours.

    It is trained on one half of the images and tested on the other, then the other way round. A single image is cut
    into halves. Both sets have the same number of patches.

    Args:
        real: Images, float32 [H, W] in [0, 1].
        simulated: The same number of images of the same shapes.
    """
    halves = [[_describe(_half(images, which)) for images in (real, simulated)] for which in (0, 1)]
    right = patches = 0
    for train, test in ((halves[0], halves[1]), (halves[1], halves[0])):
        weights, mean, deviation = _train(*(_alike(each, min(map(len, train))) for each in train))
        count = min(map(len, test))
        for sign, features in ((1, test[0]), (-1, test[1])):
            score = np.column_stack([(_alike(features, count) - mean) / deviation, np.ones(count)]) @ weights
            right += int(np.sum(score * sign > 0))
        patches += 2 * count
    return TwoSampleTest(right, patches)


def _alike(features: Float64, count: int) -> Float64:
    """``count`` evenly spaced rows."""
    return np.asarray(features[np.linspace(0, len(features) - 1, count).round().astype(int)], np.float64)


def _half(images: Sequence[Float32], which: int) -> Sequence[Float32]:
    if len(images) > 1:
        return images[which::2]
    image = images[0] if images[0].shape[1] >= images[0].shape[0] else images[0].T
    middle = image.shape[1] // 2
    return [np.ascontiguousarray(image[:, middle:] if which else image[:, :middle])]


def _describe(images: Sequence[Float32]) -> Float64:
    found = []
    for image in images:
        height, width = image.shape
        for top in range(0, height - PATCH + 1, PATCH):
            for left in range(0, width - PATCH + 1, PATCH):
                found.append(_features(image[top : top + PATCH, left : left + PATCH]))
    return np.array(found).reshape(len(found), -1)


def _features(patch: Float32) -> Float64:
    rest = patch.astype(np.float64) - cv2.GaussianBlur(patch, (0, 0), 2.0)
    variance = max(float(np.mean(rest**2)), 1e-9)
    shifts = [np.mean(rest[:, s:] * rest[:, :-s]) / variance for s in (1, 2)]
    shifts += [np.mean(rest[s:] * rest[:-s]) / variance for s in (1, 2)]
    power = np.abs(np.fft.rfft2((patch - patch.mean()).astype(np.float64) * np.outer(*[np.hanning(PATCH)] * 2))) ** 2
    radius = np.hypot(np.fft.fftfreq(PATCH)[:, None], np.fft.rfftfreq(PATCH))
    ring = np.minimum((radius * 2 * _RINGS).astype(int), _RINGS - 1)
    rings = np.log(np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()) + 1e-6)
    return np.concatenate([np.quantile(patch, _QUANTILES), rings, shifts, [np.log(variance)]])


def _train(one: Float64, other: Float64) -> tuple[Float64, Float64, Float64]:
    # Own code, because scikit-learn is not in the core install.
    features = np.concatenate([one, other])
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    sign = np.repeat([1.0, -1.0], [len(one), len(other)])

    def loss(weights: Float64) -> tuple[float, Float64]:
        margin = sign * (design @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        value = float(np.mean(np.logaddexp(0, -margin))) + _DECAY / 2 * float(weights[:-1] @ weights[:-1])
        gradient = design.T @ slope / len(sign)
        gradient[:-1] += _DECAY * weights[:-1]
        return value, np.asarray(gradient, np.float64)

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, np.float64), mean, deviation
