"""Measures lines and spaces in an image: pitch, CD, edges, roughness and jitter."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from sem_lightning.errors import NotMeasuredError
from sem_lightning.fitting.edge_model import EdgeModel, Float64, fit_edges
from sem_lightning.metrology.orientation import refine, turned_back, upright
from sem_lightning.synthesis.field import Float32

HURST = 0.65  # fixed in the fit of the spectrum; images of usual size do not determine it
_FEWEST_LINES = 3
_LEAST_PITCH = 4.0  # pixels
_EXPLAINED = 0.6  # least share of the mean row's variance that lines of one pitch explain
_FOLD_STEP = 0.25  # pixels between bins of the folded profile
_ROUGHLY = 1e-4  # tolerance of the first fit; with spaces as lines, a fine one converges slowly
_ROUNDS = 3  # rounds of following the edges
_FOLLOW = 3.0  # rows over which an edge is smoothed between rounds
_WINDOW = 6  # pixels on either side of an edge that determine its position
_SEEN_SHIFT = 2.0  # degrees from vertical up to which rows are nearly scan lines


@dataclass(frozen=True)
class Lines:
    """Measurements of lines.

    Attributes:
        angle: Degrees; 0 runs down the image.
        pitch: Pixels.
        model: Brightness across the lines, with ``cd``.
        sigma: Standard deviation of an edge, pixels.
        correlation_length: Correlation length of an edge, pixels.
        edge_correlation: Correlation of the two edges of a line.
        jitter: Standard deviation of the common shift of all edges of a row, pixels along the row; ``None`` if lines
            are too oblique.
        phi: Signed distance to the nearest edge, positive inside a line, [H, W], pixels; 0 where not measured.
    """

    angle: float
    pitch: float
    model: EdgeModel
    sigma: float
    correlation_length: float
    edge_correlation: float
    jitter: float | None
    phi: Float32


def measure_lines(image: Float32, angle: float, polarity: str) -> Lines:
    """Measure an image of parallel lines.

    Args:
        image: float32 [H, W] in [0, 1].
        angle: Direction of the lines, to within a few degrees.
        polarity: ``bright`` or ``dark``: brightness of the lines.

    Raises:
        NotMeasuredError: Fewer than three periods, or lines finer than four pixels.
    """
    angle = refine(image, angle)
    snapped = round(angle / 90) * 90
    if abs(angle - snapped) * np.pi / 180 * max(image.shape) < 0.5:  # the turn would move no pixel by more
        angle = float(snapped) if snapped != -90 else 90.0
    turned = upright(image, angle)
    pitch = _find_pitch(turned)
    centre, model = _fold(turned, pitch, polarity)
    edges, straight, pitch = _follow(turned, centre, pitch, model, polarity)
    phi = _distance(turned.shape, straight + _smooth(edges), pitch - model.cd)
    place = np.float32(model.cd / 2) - phi  # distance from the middle of a line
    model = _fit_profile(turned, place, pitch, polarity, model)
    sigma, xi = _fit_roughness(edges)
    return Lines(
        angle=angle,
        pitch=pitch,
        model=model,
        sigma=sigma,
        correlation_length=xi,
        edge_correlation=_edge_correlation(edges, sigma),
        jitter=_jitter(edges) if abs(angle) < _SEEN_SHIFT else None,
        phi=_turned_back(phi, angle, (image.shape[0], image.shape[1])),
    )


def _find_pitch(turned: Float32) -> float:
    """The pitch from the autocorrelation of the mean row, refined by folding with maximum variance."""
    profile = turned.mean(axis=0).astype(np.float64)
    width = len(profile)
    profile -= np.polyval(np.polyfit(np.arange(width), profile, 2), np.arange(width))
    spectrum = np.abs(np.fft.rfft(profile, 2 * width)) ** 2
    raw = np.fft.irfft(spectrum)[:width]
    correlation = raw / np.maximum(width - np.arange(width), 1)
    correlation = correlation[: width // 2] / max(correlation[0], 1e-12)
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    peaks = peaks[peaks >= _LEAST_PITCH - 1]
    if not len(peaks) or correlation[peaks].max() < 0.2:
        raise NotMeasuredError("no pitch: the lines do not repeat; give images with at least three of them")
    # the first nearly maximal peak; rims repeat within a pitch, but less strongly
    first = float(next(peak for peak in peaks if correlation[peak] >= 0.85 * correlation[peaks].max()))
    if width < _FEWEST_LINES * first:
        raise NotMeasuredError(
            f"too few periods: a pitch of {first:.0f} pixels in {width}; give images with {_FEWEST_LINES} lines or more"
        )
    columns = np.arange(width)

    def kept(pitch: float) -> float:
        bins = np.floor(columns % pitch).astype(int)
        count = np.bincount(bins)
        means = np.bincount(bins, weights=profile) / np.maximum(count, 1)
        return float((means**2 * count).sum())

    best = first
    for share in (0.02, 0.005):
        tried = best * (1 + share * np.linspace(-1, 1, 41))
        best = float(tried[int(np.argmax([kept(each) for each in tried]))])
    if best < _LEAST_PITCH:
        raise NotMeasuredError(f"a pitch of {best:.1f} pixels is too fine to measure; give images with smaller pixels")
    if kept(best) < _EXPLAINED * float((profile**2).sum()):
        raise NotMeasuredError(
            f"several pitches in one image (lines {best:.1f} pixels apart are only a part of it); cut out one of them"
        )
    return best


def _fold(turned: Float32, pitch: float, polarity: str) -> tuple[float, EdgeModel]:
    """Column of a line's middle and a first model of the lines, from the mean row."""
    profile = turned.mean(axis=0).astype(np.float64)
    columns = np.arange(len(profile))
    phase = np.angle(np.sum((profile - profile.mean()) * np.exp(2j * np.pi * columns / pitch))) / (2 * np.pi) * pitch
    centre = phase if polarity == "bright" else phase + pitch / 2
    # strong rims are brighter than the lines, so both halves of the period are tried and the better fit is used
    best: tuple[float, float, EdgeModel] | None = None
    for middle in (centre, centre + pitch / 2):
        place = (columns - middle + pitch / 2) % pitch - pitch / 2
        model = fit_edges(place, profile, np.ones_like(place), pitch, polarity, tolerance=_ROUGHLY)
        error = float(np.sum((model.across(place, pitch, polarity) - profile) ** 2))
        if best is None or error < best[0]:
            best = (error, middle, model)
    assert best is not None
    return best[1], best[2]


def _follow(
    turned: Float32, centre: float, pitch: float, model: EdgeModel, polarity: str
) -> tuple[Float64, Float64, float]:
    """Find the position of every edge in every row.

    The shift of each edge in each row is the least-squares fit of the model's brightness, with a free level.

    Returns:
        Deviations from straight edges [H, edges], the straight edges [H, edges] (left and right of each line in turn),
        and the pitch from their means.
    """
    height, width = turned.shape
    first, last = int(np.ceil((0 - centre) / pitch)), int(np.floor((width - 1 - centre) / pitch))
    middles = centre + pitch * np.arange(first, last + 1)
    starts = (middles[:, None] + np.array([-0.5, 0.5]) * model.cd).ravel()
    reach = int(min(_WINDOW, max(2, model.cd / 2), max(2, (pitch - model.cd) / 2)))
    whole = (starts.reshape(-1, 2)[:, 0] >= reach) & (starts.reshape(-1, 2)[:, 1] <= width - 1 - reach)
    if whole.sum() < 2:
        raise NotMeasuredError("too few whole lines in the image; give images with at least three")
    middles, starts = middles[whole], starts.reshape(-1, 2)[whole].ravel()
    offsets = np.arange(-reach, reach + 1)
    shapes = {}
    for side in (-1, 1):
        near = np.asarray(side * model.cd / 2 + offsets, np.float64)
        slope = model.across(near + 0.05, pitch, polarity) - model.across(near - 0.05, pitch, polarity)
        design = np.column_stack([-slope / 0.1, np.ones(len(offsets))])
        shapes[side] = (model.across(near, pitch, polarity), np.linalg.pinv(design)[0])
    rows = np.repeat(np.arange(height, dtype=np.float32)[:, None], len(offsets), axis=1)
    deviation = np.zeros((height, len(starts)))
    level = np.tile(starts, (height, 1))
    for _ in range(_ROUNDS):
        middle = level + _smooth(deviation)
        raw = np.empty_like(deviation)
        for edge in range(len(starts)):
            expected, solve = shapes[-1 if edge % 2 == 0 else 1]
            columns = (middle[:, edge : edge + 1] + offsets).astype(np.float32)
            seen = cv2.remap(turned, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            raw[:, edge] = np.clip((seen - expected) @ solve, -2.0, 2.0)
        places = middle + raw
        # straight edges: a common tilt is an error of the angle, not roughness
        time = np.arange(height) - (height - 1) / 2
        tilt = float(np.mean(time @ places) / np.sum(time**2))
        level = places.mean(axis=0) + tilt * time[:, None]
        deviation = places - level
    found = level.mean(axis=0).reshape(-1, 2).mean(axis=1)
    order = np.round((middles - middles[0]) / pitch)
    return deviation, level, float(np.polyfit(order, found, 1)[0])


def _smooth(edges: Float64) -> Float64:
    taps = (1, 2 * round(3 * _FOLLOW) + 1)
    return np.asarray(cv2.GaussianBlur(edges, taps, sigmaX=0.01, sigmaY=_FOLLOW), np.float64)


def _distance(shape: tuple[int, int], places: Float64, space: float) -> Float32:
    """Signed distance to the nearest edge of the row; 0 beyond the outermost lines, where not measured."""
    columns = np.arange(shape[1], dtype=np.float32)
    phi = np.full(shape, -np.inf, np.float32)
    for line in range(places.shape[1] // 2):
        left, right = places[:, 2 * line, None], places[:, 2 * line + 1, None]
        np.maximum(phi, np.minimum(columns - left, right - columns).astype(np.float32), out=phi)
    phi[phi < -space] = 0
    return phi


def _turned_back(phi: Float32, angle: float, shape: tuple[int, int]) -> Float32:
    """Turn back into the image; 0 also where interpolation would use values that were not measured."""
    seen = turned_back((phi != 0).astype(np.float32), angle, shape) > 0.999
    return np.asarray(np.where(seen, turned_back(phi, angle, shape), 0), np.float32)


def _fit_profile(turned: Float32, place: Float32, pitch: float, polarity: str, start: EdgeModel) -> EdgeModel:
    """The model of lines from all pixels, by distance from the middle of the line."""
    near = (place <= pitch / 2) & (place != np.float32(start.cd / 2))
    bins = np.floor(place[near] / _FOLD_STEP).astype(int)
    bins -= bins.min()
    count = np.bincount(bins)
    used = count > 0
    total = np.bincount(bins, weights=turned[near])
    where = np.bincount(bins, weights=place[near])
    distance, brightness = where[used] / count[used], total[used] / count[used]
    return fit_edges(distance, brightness, count[used].astype(np.float64), pitch, polarity, start)


def _fit_roughness(edges: Float64) -> tuple[float, float]:
    """Sigma and xi by Whittle's likelihood of a Palasantzas spectrum plus the white noise of single rows."""
    count = edges.shape[1]
    alone = edges - edges.mean(axis=1, keepdims=True)  # without the common shift
    periodogram = np.abs(np.fft.rfft(alone, axis=0)[1:]) ** 2 / len(edges)
    power = periodogram.mean(axis=1) * count / (count - 1)
    frequency = np.asarray(np.fft.rfftfreq(len(edges))[1:], np.float64)

    def spectrum(numbers: npt.NDArray[np.float64]) -> Float64:
        variance, xi, noise = np.exp(numbers)
        return np.asarray(variance * _palasantzas(frequency, xi) + noise, np.float64)

    def misfit(numbers: npt.NDArray[np.float64]) -> float:
        expected = spectrum(numbers)
        return float(np.sum(np.log(expected) + power / expected))

    white = float(np.median(power[len(power) // 2 :])) + 1e-9
    variance = max(float(power.sum() * 2 / len(edges)) - white, 0.05 * white)
    longest = len(edges) / 4
    best = min(
        (
            minimize(
                misfit, np.log([variance, xi, white]), method="L-BFGS-B",
                bounds=((-16, 5), (np.log(2.0), np.log(longest)), (-16, 5)),
            )
            for xi in (5.0, 20.0)
        ),
        key=lambda found: float(found.fun),
    )  # fmt: skip
    return float(np.exp(best.x[0] / 2)), float(np.exp(best.x[1]))


def _palasantzas(frequency: Float64, xi: float) -> Float64:
    density = (1 + (2 * np.pi * frequency * xi) ** 2) ** (-0.5 - HURST)
    return np.asarray(density / (2 * density.mean()) * 2, np.float64)


def _edge_correlation(edges: Float64, sigma: float) -> float:
    """Correlation of the two edges of a line from their covariance, to which noise of single rows adds nothing."""
    count = edges.shape[1]
    alone = _smooth(edges - edges.mean(axis=1, keepdims=True))
    pair = float(np.mean(alone[:, ::2] * alone[:, 1::2]))
    own = float(np.mean(alone**2))
    # subtracting the mean of all edges makes them correlated
    return float(np.clip((pair + own / count) / max(own * (1 + 1 / count), 1e-9), -1, 1)) if sigma > 0 else 0.0


def _jitter(edges: Float64) -> float:
    """Row-to-row part of the common shift of the edges, without the contribution of their own roughness."""
    count = edges.shape[1]
    common = edges.mean(axis=1)
    alone = edges - common[:, None]
    high = np.fft.rfftfreq(len(edges)) > 0.25

    def power(signal: Float64) -> float:
        return float(np.mean(np.abs(np.fft.rfft(signal, axis=0)[high]) ** 2) / len(edges))

    return float(np.sqrt(max(power(common) - power(alone) / (count - 1), 0.0)))
