"""Estimates the polarity of a user's images from a sample of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.inference.inversion import check_trained_polarity
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.io.images import ImageError
from sem_lightning.metrology.pattern_family import wire_end_balance
from sem_lightning.metrology.polarity_estimate import FEWEST_VOTES, bright_share, guess_polarity, polarity_of_ends
from sem_lightning.polarity import POLARITIES, Polarity
from sem_lightning.synthesis.field import Float32

_MOST_REPLACED = 192  # images that are tried in place of those without a pattern
_MOST_VOTES = 32  # images
_MOST_KEPT = 1 << 24  # pixels of decoded images kept for prediction: 64 MB


@dataclass(frozen=True)
class PolarityVote:
    """The estimated polarity.

    Attributes:
        polarity: ``bright`` or ``dark``.
        reason: The evidence, in words.
        voters: Number of images that were asked.
        decoded: The decoded files, so that none is decoded twice.
    """

    polarity: str
    reason: str
    voters: int = 0
    decoded: dict[Path, GrayImage] = field(default_factory=dict, repr=False)


def vote_on_polarity(
    images: Sequence[Any],
    asked: str | None,
    trained: str | None,
    has_risk_bound: bool,
    open_one: Callable[[Any], GrayImage],
    largest_view: Callable[[GrayImage], Float32 | None],
) -> PolarityVote | None:
    """Estimate the polarity of images.

    Args:
        images: Files or arrays.
        asked: ``auto`` takes the grey level that covers less area as the feature. ``None`` decides only for a
            classifier that was trained on both polarities: ``dark`` if enough images show ends of dark wires, else the
            images are not inverted.
        trained: Polarity of the training images.
        has_risk_bound: Whether the rule has a risk bound; it holds only for images that are not inverted.
        open_one: Decodes one image.
        largest_view: The largest view of an image, without enlarging it; ``None`` for an image that shows no pattern.

    Returns:
        ``None`` if the polarity is given or does not matter.

    Raises:
        SettingError: ``auto`` finds no polarity, or the checkpoint does not hold the polarity of training.
    """
    if asked is None and (trained != Polarity.EITHER or has_risk_bound or len(images) < FEWEST_VOTES):
        return None
    if asked in POLARITIES:
        return None
    check_trained_polarity(trained)
    decoded, seen = _open_some(images, open_one, largest_view)
    if asked is None:
        balance = [wire_end_balance(image) for image in seen]
        if polarity_of_ends(balance) == Polarity.DARK:
            return PolarityVote(
                Polarity.DARK,
                f"dark wires: some of {len(seen)} images show their ends (polarity=bright switches this off)",
                len(seen),
                decoded,
            )
        return PolarityVote(Polarity.BRIGHT, "", len(seen), decoded)
    if not seen:  # prediction says why none of them can be used
        return PolarityVote(Polarity(trained) if trained in POLARITIES else Polarity.BRIGHT, "")
    shares = [bright_share(image) for image in seen]
    found = guess_polarity(shares)
    if found is None:
        raise SettingError(
            "polarity",
            f"auto cannot tell: bright covers {np.median(shares):.0%} of the images, and lines as wide as their spaces "
            "fit both polarities; say bright or dark",
        )
    share = f"{found} lines (bright covers {np.median(shares):.0%} of the images)"
    return PolarityVote(found, share, len(seen), decoded)


def explain_polarity(asked: str | None, trained: str | None, has_risk_bound: bool, vote: PolarityVote | None) -> str:
    """The polarity that images are assumed to have, and why, in a few words; see `vote_on_polarity`."""
    if asked in POLARITIES:
        return f"{asked} (asked for)"
    if trained is None:
        return "as in training (the checkpoint does not say which)"
    if trained != Polarity.EITHER and asked is None:
        return f"{trained} (the checkpoint's)"
    if vote is None:
        why = "a rule with a risk bound takes no vote" if has_risk_bound else f"a vote takes {FEWEST_VOTES} images"
        return f"bright or dark, images as they are ({why})"
    if not vote.voters:
        return f"{vote.polarity} (no image shows a pattern)"
    if vote.reason:
        return f"{vote.polarity} (voted by {_count(vote.voters)})"
    return f"bright or dark, images as they are ({_count(vote.voters)} did not vote for dark)"


def _count(images: int) -> str:
    return f"{images} image{'s' if images != 1 else ''}"


def _open_some(
    images: Sequence[Any], open_one: Callable[[Any], GrayImage], largest_view: Callable[[GrayImage], Float32 | None]
) -> tuple[dict[Path, GrayImage], list[Float32]]:
    """A sample of the images that show a pattern, evenly spread over the list. Other images replace the rest."""
    chosen = [round(i) for i in np.linspace(0, len(images) - 1, min(len(images), _MOST_VOTES))]
    taken = set(chosen)
    decoded: dict[Path, GrayImage] = {}
    seen: list[Float32] = []
    pixels = 0
    others = (i for i in range(len(images)) if i not in taken)
    for place in [*chosen, *islice(others, _MOST_REPLACED)]:
        if len(seen) == _MOST_VOTES:
            break
        try:
            image = open_one(images[place])
            view = largest_view(image)
        except (ImageError, MemoryError, cv2.error):  # prediction names the file
            continue
        if view is None:
            continue
        seen.append(view)
        pixels += image.pixels.size
        if isinstance(images[place], Path) and pixels <= _MOST_KEPT:
            decoded[images[place]] = image
    return decoded, seen
