"""Measures edges, CD, roughness, blur and noise in simulated and real images.

Images are float32 [H, W], 1 is white; lengths are in pixels.
"""

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

Float64 = npt.NDArray[np.float64]


def find_edges(image: Float32, level: float) -> Float64:
    """Sub-pixel columns at which vertical lines cross a brightness, in every row.

    Args:
        image: Vertical lines; their number is the same in every row.
        level: Brightness at an edge; CD-SEMs use the middle between ground and top.

    Returns:
        float64 [H, edges]: for each edge of the mean row, the nearest crossing in each row.
    """
    starts = _crossings(image.mean(axis=0), level)
    edges = np.empty((len(image), len(starts)))
    for number, row in enumerate(image):
        found = _crossings(row, level)
        edges[number] = found[np.abs(found[:, None] - starts).argmin(axis=0)] if len(found) else np.nan
    return edges


def _crossings(row: npt.NDArray[np.float32], level: float) -> Float64:
    above = row > level
    i = np.flatnonzero(above[:-1] != above[1:])
    ahead, behind = row[i + 1].astype(np.float64), row[i].astype(np.float64)
    return i + (level - behind) / (ahead - behind)


def power_spectrum(edges: Float64) -> tuple[Float64, Float64]:
    """Power spectral density of edges about their means, averaged.

    Args:
        edges: float64 [H, edges].

    Returns:
        Frequency in cycles per pixel, and density in pixels squared times pixels; both [H // 2], without frequency 0.
        The sum of the density over positive and negative frequencies, divided by H, is the variance.
    """
    deviations = edges - edges.mean(axis=0)
    density = np.mean(np.abs(np.fft.rfft(deviations, axis=0)) ** 2, axis=1) / len(edges)
    frequency = np.asarray(np.fft.rfftfreq(len(edges)), np.float64)
    return frequency[1:], density[1:]


def common_motion(edges: Float64) -> Float64:
    """Displacement of each scan line, averaged over its edges: float64 [H]."""
    return np.asarray(np.median(edges - edges.mean(axis=0), axis=1), np.float64)


def edge_spread(profile: npt.NDArray[np.float32]) -> float:
    """Standard deviation of the blur of a step, from its differences, without the blur of two pixel widths."""
    spread = np.abs(np.diff(profile.astype(np.float64)))
    spread /= spread.sum()
    place = np.arange(len(spread)) - np.sum(spread * np.arange(len(spread)))
    # sampling averages the step over a pixel, and so does the difference
    return float(np.sqrt(max(np.sum(spread * place**2) - 2 / 12, 0)))


def noise_level(image: Float32) -> float:
    """Standard deviation of white noise on a smooth image (J. Immerkaer, Comput. Vis. Image Underst. 64, 300 (1996)).

    The Laplacian difference cancels slopes, and its median nearly ignores edges.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    difference = np.abs(np.asarray(cv2.filter2D(image, -1, kernel), np.float32)[1:-1, 1:-1])
    return float(np.median(difference) / 0.6745 / 6)


def edge_profile(image: Float32, phi: Float32, reach: int) -> Float64:
    """Mean brightness at each distance from the edges.

    Args:
        image: The image.
        phi: Signed distance from its edges, pixels.
        reach: Largest distance, pixels.

    Returns:
        float64 [4 * reach + 1], at distances from ``-reach`` to ``reach`` in steps of half a pixel.
    """
    place = np.clip(np.rint(phi * 2), -2 * reach - 1, 2 * reach + 1).astype(int) + 2 * reach + 1
    count = np.bincount(place.ravel(), minlength=4 * reach + 3)
    total = np.bincount(place.ravel(), weights=image.ravel(), minlength=4 * reach + 3)
    return np.asarray((total / np.maximum(count, 1))[1:-1], np.float64)


def outline_distance(image: Float32, level: float, smoothing: float) -> Float32:
    """Signed distance from the contour of a smoothed image at a level, positive where darker: [H, W], pixels."""
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), smoothing), np.float32)
    fine = np.asarray(cv2.resize(smooth, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR), np.float32)
    dark = (fine < level).astype(np.uint8)
    inside = cv2.distanceTransform(dark, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform(1 - dark, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = np.where(dark > 0, inside - 0.5, 0.5 - outside).astype(np.float32) / 4
    return np.asarray(cv2.resize(distance, image.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def histogram_distance(one: Float32, other: Float32) -> float:
    """Earth mover's distance between the grey levels of two images of equal size, of full scale."""
    return float(np.mean(np.abs(np.sort(one.ravel()) - np.sort(other.ravel()))))
