"""Decides from the polarity whether an image is inverted before the network."""

from enum import Enum

from sem_lightning.errors import SettingError
from sem_lightning.polarity import POLARITIES, Polarity


class Inversion(Enum):
    """Whether an image is inverted before the network.

    Attributes:
        NONE: The image is not inverted.
        INVERTED: Only the inverted image is used, because the classifier was trained on the other polarity.
        INVERTED_AND_ORIGINAL: The inverted image is used together with the original at half the weight. This applies to
            a dark image and a classifier that was trained on both polarities and on inverted images.
    """

    NONE = "none"
    INVERTED = "inverted"
    INVERTED_AND_ORIGINAL = "inverted_and_original"


def check_trained_polarity(trained: str | None) -> None:
    """Refuse a classifier whose checkpoint does not say which polarity it was trained on.

    Raises:
        SettingError: It does not.
    """
    if trained is None:
        raise SettingError(
            "polarity",
            "the checkpoint does not say which polarity its training images had (data.polarity=... of training says "
            "it); use null",
        )


def choose_inversion(polarity: str, trained: str | None) -> Inversion:
    """The inversion for images of ``polarity`` and a classifier trained on ``trained``: ``bright`` or ``dark``.

    Raises:
        SettingError: The checkpoint does not say which polarity it was trained on.
    """
    if polarity not in POLARITIES:
        raise SettingError("polarity", f"found {polarity!r}, expected {' or '.join(POLARITIES)}")
    check_trained_polarity(trained)
    if trained == Polarity.EITHER:
        return Inversion.INVERTED_AND_ORIGINAL if polarity == Polarity.DARK else Inversion.NONE
    return Inversion.NONE if polarity == trained else Inversion.INVERTED
