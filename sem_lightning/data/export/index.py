"""The images of a simulated set, computed on demand, so that memory does not grow with the set."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sem_lightning.checks import check_weights
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import SettingError

_FINEST_WEIGHT = 1000  # weights are rounded to fractions with no larger denominator
_LONGEST_CYCLE = 20_000


@dataclass(frozen=True)
class Entry:
    """One image to write.

    Attributes:
        number: Its position in the whole set.
        name: Path below the root without a suffix, ``<class>/<class>_0000``.
        label: Class.
        split: Name of its split.
        index: Its index in the simulator's key (seed, split, index).
    """

    number: int
    name: str
    label: str
    split: str
    index: int


class ImageIndex:
    """All images of a set: the splits in order, the classes in turn as in `SimulatedDataset`.

    Args:
        classes: Class names.
        sizes: Images in each split.
        weights: Relative frequency of each class, or ``None`` for equal ones.

    Raises:
        SettingError: Weights are not one number from 0 for each class, or all are 0.
    """

    def __init__(
        self, classes: Sequence[str], sizes: Mapping[str, int], weights: Sequence[float] | None = None
    ) -> None:
        self.classes = list(classes)
        self.sizes = {split: sizes[split] for split in SPLITS}
        self.cycle = _spread([1.0] * len(classes) if weights is None else weights, classes)
        # number of images of each label before each position of the cycle
        self._before = [
            [0, *itertools.accumulate(each == label for each in self.cycle)] for label in range(len(classes))
        ]
        self._digits = max(4, len(str(max(self._count_before(label, len(self)) for label in range(len(classes))))))

    def __len__(self) -> int:
        return sum(self.sizes.values())

    def __getitem__(self, number: int) -> Entry:
        index = number
        for split in SPLITS:
            if index < self.sizes[split]:
                break
            index -= self.sizes[split]
        label = self.cycle[index % len(self.cycle)]
        name = self.classes[label]
        return Entry(number, f"{name}/{name}_{self._count_before(label, number):0{self._digits}d}", name, split, index)

    def numbers(self, part: int, parts: int) -> range:
        """The numbers of the images in one of ``parts`` equal parts."""
        return range(part * len(self) // parts, (part + 1) * len(self) // parts)

    def first_of(self, label: str, count: int) -> list[Entry]:
        """The first images of a class."""
        found: list[Entry] = []
        for number in range(len(self)):
            if len(found) == count or number > count * len(self.cycle) * len(SPLITS):
                break
            if (entry := self[number]).label == label:
                found.append(entry)
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """Images of each class in each split."""
        return {
            split: {name: self._count_in_cycle(label, size) for label, name in enumerate(self.classes)}
            for split, size in self.sizes.items()
        }

    def _count_before(self, label: int, number: int) -> int:
        total = 0
        for size in self.sizes.values():
            total += self._count_in_cycle(label, min(number, size))
            number -= min(number, size)
        return total

    def _count_in_cycle(self, label: int, images: int) -> int:
        turns, rest = divmod(images, len(self.cycle))
        return int(turns * self._before[label][-1] + self._before[label][rest])


def _spread(weights: Sequence[float], classes: Sequence[str]) -> list[int]:
    """A cycle of labels with frequencies proportional to the weights, spread as evenly as possible."""
    check_weights("class_weights", weights, classes)
    fractions = [Fraction(weight).limit_denominator(_FINEST_WEIGHT) for weight in weights]
    scale = math.lcm(*(fraction.denominator for fraction in fractions))
    wanted = [int(fraction * scale) for fraction in fractions]
    divisor = math.gcd(*wanted) or 1
    wanted = [count // divisor for count in wanted]
    lost = [name for name, weight, count in zip(classes, weights, wanted, strict=True) if weight > 0 and count == 0]
    if lost or not 0 < sum(wanted) <= _LONGEST_CYCLE:
        raise SettingError(
            "class_weights",
            f"found {list(weights)}, whose ratio takes more than {_LONGEST_CYCLE} images; use rounder numbers",
        )
    order: list[int] = []
    given: Counter[int] = Counter()
    for place in range(1, sum(wanted) + 1):
        behind = [count * place / sum(wanted) - given[label] for label, count in enumerate(wanted)]
        label = max(range(len(wanted)), key=lambda each: (behind[each], -each))
        given[label] += 1
        order.append(label)
    return order
