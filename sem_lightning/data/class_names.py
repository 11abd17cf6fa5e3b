"""Names that people give to classes and splits."""

import logging
from collections.abc import Iterable
from types import MappingProxyType

from sem_lightning.data.splits import SPLITS
from sem_lightning.io.atomic import printable
from sem_lightning.synthesis.defects.mix import GOOD

_GOOD_WORDS = frozenset(
    ("good", "ok", "okay", "pass", "passed", "normal", "nodefect", "nodefects", "defectfree", "nondefective")
)
SPLIT_WORDS = MappingProxyType(
    {
        **{split: split for split in SPLITS},
        "training": "train",
        **dict.fromkeys(("valid", "validation", "dev"), "val"),
        "testing": "test",
        "calib": "calibration",
    }
)

log = logging.getLogger(__name__)


def find_split(word: str) -> str | None:
    """The split that a word such as ``Valid`` stands for; ``None`` if it stands for none."""
    return SPLIT_WORDS.get(word.strip().lower())


def map_names(found: Iterable[str], classes: list[str] | None) -> dict[str, str]:
    """The class that each name in a folder stands for, where that is plain; a warning says which were renamed.

    Names such as ``OK`` stand for ``good`` if only one name does. If ``classes`` are given, names may differ from them
    in capitals.
    """
    found = sorted(set(found))
    known = classes if classes is not None else found
    renamed = {}
    if classes is not None:
        by_letters = {name.lower(): name for name in classes}
        renamed = {name: by_letters[name.lower()] for name in found if name not in known and name.lower() in by_letters}
    else:
        renamed = {name: GOOD for name in found if name != GOOD and name.lower() == GOOD}
    has_good = GOOD in found or GOOD in renamed.values()
    meant = [name for name in found if _letters(name) in _GOOD_WORDS and (classes is None or name not in known)]
    if len(meant) == 1 and not has_good and (classes is None or GOOD in known):
        renamed[meant[0]] = GOOD
    if renamed:
        said = ", ".join(f"{name} is taken as {new}" for name, new in sorted(renamed.items()))
        log.warning("class names: %s", printable(said))
    return {name: renamed.get(name, name) for name in found}


def warn_without_good(classes: list[str]) -> None:
    """Say what follows if no class is good."""
    if GOOD not in classes:
        log.warning(
            "no class is called good (found %s): no threshold can be set, escape and overkill are not measured, and "
            "masks are not used; call the class of images without defects good",
            printable(", ".join(classes)),
        )


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
