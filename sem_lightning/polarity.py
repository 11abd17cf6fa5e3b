"""Whether the feature (line, hole, metal) is bright or dark."""

from enum import StrEnum


class Polarity(StrEnum):
    """The brightness of the feature.

    Attributes:
        BRIGHT: The feature is brighter than its surroundings.
        DARK: The feature is darker.
        EITHER: For a set of images: both occur, and some dark images are inverted. A classifier trained on such a set
            can judge the inverted copy of any image that is known to be dark.
    """

    BRIGHT = "bright"
    DARK = "dark"
    EITHER = "either"


POLARITIES = (Polarity.BRIGHT, Polarity.DARK)  # allowed for one image
