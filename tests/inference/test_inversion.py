"""Which images are inverted before the network."""

import pytest

from sem_lightning.errors import SettingError
from sem_lightning.inference.inversion import Inversion, choose_inversion


@pytest.mark.parametrize(
    ("polarity", "trained", "expected"),
    [
        ("bright", "bright", Inversion.NONE),
        ("dark", "dark", Inversion.NONE),
        ("bright", "dark", Inversion.INVERTED),
        ("dark", "bright", Inversion.INVERTED),
        ("bright", "either", Inversion.NONE),
        ("dark", "either", Inversion.INVERTED_AND_ORIGINAL),
    ],
)
def test_an_image_is_inverted_where_training_had_the_other_polarity(
    polarity: str, trained: str, expected: Inversion
) -> None:
    assert choose_inversion(polarity, trained) is expected


def test_what_cannot_be_chosen_is_named() -> None:
    for polarity in ("either", "auto", "grey"):
        with pytest.raises(SettingError, match=f"polarity: found '{polarity}', expected bright or dark"):
            choose_inversion(polarity, "bright")
    with pytest.raises(SettingError, match="polarity: the checkpoint does not say which polarity"):
        choose_inversion("dark", None)
