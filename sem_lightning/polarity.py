"""Which of two grey levels the feature (line, hole, metal) has."""

from enum import StrEnum


class Polarity(StrEnum):
    """The brightness of the feature.

    Attributes:
        BRIGHT: The feature is brighter than its surroundings.
        DARK: The feature is darker.
        EITHER: Of a set of images: both occur, and some dark ones are shown as their negative. A classifier trained on
            such a set can judge any image that is known to be dark by its negative.
    """

    BRIGHT = "bright"
    DARK = "dark"
    EITHER = "either"


POLARITIES = (Polarity.BRIGHT, Polarity.DARK)  # what the feature of one image can be
