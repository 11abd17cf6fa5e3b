"""The Inspector: compares images with references of the same place."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.checks import between
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inspection.compared_reference import (
    ComparedReference,
    combine_scores,
    describe_periods,
    name_odd_ones,
)
from sem_lightning.inspection.comparing import ComparedReferences, compare_references, compare_self
from sem_lightning.inspection.design.design import Design
from sem_lightning.inspection.difference import least_log_odds, least_score, share_compared
from sem_lightning.inspection.inspection import DEFECT, Inspection, Place, describe_compared, highest_of
from sem_lightning.inspection.limits import FALSE_PLACES, InspectionLimits, open_limits
from sem_lightning.inspection.place_picture import PairPictures
from sem_lightning.inspection.places import find_places, peak_scores
from sem_lightning.inspection.references import DESIGN, SELF, InspectionPair
from sem_lightning.io.gray_image import GrayImage, ImagePage, as_gray_image, open_image
from sem_lightning.io.images import ImageError
from sem_lightning.metrology.usability import find_fault
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.synthesis.field import Float32

if TYPE_CHECKING:
    from sem_lightning.inspection.place_classifier import PlaceClassifier

Image = Path | str | ImagePage | GrayImage | npt.NDArray[np.float32] | npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

Item = TypeVar("Item")

FALSE_PLACES_OF_DESIGN = 1.0


@dataclass(frozen=True)
class _Judged:
    """What follows from the scores of an image; see `Inspection`."""

    decision: str
    reason: str | None
    places: tuple[Place, ...] = ()
    peaks: tuple[float, ...] | None = None


class Inspector:
    """Compares images with references: the same place on another die, or the image's own period.

    Args:
        false_places: Expected number of false places in an image without defects, from 0.0001 to 100; ``None`` is 0.1
            against references and 1 against a design, which is smoother than what is made from it.
        pixel_size: Pixel size of images and references in nm; ``None`` takes that of each file.
        crop_data_bar: Whether the data bar of vendors' images is cropped.
        network: A checkpoint of ``experiment=reference`` that names the places and leaves out those without a defect;
            ``places`` is the one in the package; ``None`` goes by the difference alone.
        limits: Limits chosen on labelled pairs, or their file, in place of those that follow from ``false_places``; see
            `choose_limits`. They do not hold for designs.

    Raises:
        UserError: No such checkpoint, or no such limits.
        SettingError: A value out of its range, a classifier of whole images, or limits of another network.

    Example:
        >>> inspection = Inspector(false_places=0.1).inspect("die_3.png", "die_2.png")
        >>> for place in inspection.places: print(place.label, place.x, place.y, place.score)
    """

    def __init__(
        self,
        false_places: float | None = None,
        pixel_size: float | None = None,
        crop_data_bar: bool = True,
        network: str | Path | None = "places",
        limits: InspectionLimits | str | Path | None = None,
    ) -> None:
        if false_places is not None:
            between("false_places", false_places, 1e-4, 100)
        self.false_places = FALSE_PLACES if false_places is None else false_places
        self.false_places_of_design = FALSE_PLACES_OF_DESIGN if false_places is None else false_places
        self.pixel_size = pixel_size
        self.crop_data_bar = crop_data_bar
        self._classifier: PlaceClassifier | None = None
        if network is not None:
            from sem_lightning.inspection import place_classifier  # may import torch

            self._classifier = place_classifier.PlaceClassifier(network)
        self._network = None if self._classifier is None else self._classifier.file_hash
        self.limits = open_limits(limits) if isinstance(limits, str | Path) else limits
        if self.limits is not None:
            self.limits.check_network(self._network)

    @property
    def labels(self) -> list[str]:
        """Classes of places that the network names; none without a network."""
        return [] if self._classifier is None else self._classifier.labels

    def inspect(self, image: Image, reference: Image | Sequence[Image] | Literal["self"]) -> Inspection:
        """Compare an image with one or several references.

        Args:
            image: A file, or an array (float32 in [0, 1], uint8 or uint16, [H, W]).
            reference: The same, or several of them: a place counts where the image differs from most of them. ``self``
                compares the image with itself, shifted by its own period.

        Raises:
            ImageError: A file that cannot be read.
        """
        opened = self._open(image)
        names: tuple[str, ...] = (SELF,)
        references: list[GrayImage] = []
        if not (isinstance(reference, str) and reference == SELF):
            several = (
                [reference] if isinstance(reference, Path | str | ImagePage | GrayImage | np.ndarray) else reference
            )
            references = [self._open(each) for each in several]
            names = tuple(str(each.path) if each.path else "array" for each in references)
        fault = find_fault(opened.pixels)
        if fault is not None:
            return self._conclude(opened, names, ComparedReferences(fault))
        compared = compare_references(opened, names, references) if references else compare_self(opened)
        return self._conclude(opened, names, compared)

    def inspect_design(self, image: Image, design: Design) -> Inspection:
        """Compare an image with its design.

        Args:
            image: See `inspect`.
            design: See `open_design`.

        Raises:
            ImageError: An image that cannot be read, or whose pixel size is not known, which a layout needs.
            SettingError: Too large a window at this pixel size, or an Inspector with limits.
        """
        if self.limits is not None:
            raise SettingError("limits", "hold for comparisons with images, not with a design")
        from sem_lightning.inspection.design.inspecting import inspect_design  # imports what no reference needs

        return inspect_design(self._open(image), design, self.false_places_of_design)

    def stream(
        self, pairs: Iterable[InspectionPair], design: Design | None = None
    ) -> Iterator[Inspection | UnreadableImage]:
        """Compare files one after the other, in order. Only the pairs being compared are kept in memory.

        Args:
            pairs: See `find_pairs`.
            design: What images are compared with whose reference is ``design``.
        """
        return _in_order(lambda pair: self._inspect_files(pair, design), pairs)

    def stream_images(
        self, pairs: Iterable[tuple[ImagePage, Sequence[ImagePage] | Literal["self"]]]
    ) -> Iterator[Inspection | UnreadableImage]:
        """Compare pages of files one after the other, in order, as in `stream`.

        Args:
            pairs: An image and its references, as in `inspect`.
        """
        return _in_order(lambda pair: _or_unreadable(pair[0].path, lambda: self.inspect(*pair)), pairs)

    def _inspect_files(self, pair: InspectionPair, design: Design | None) -> Inspection | UnreadableImage:
        if pair.references == DESIGN:
            assert design is not None
            return _or_unreadable(pair.image, lambda: self.inspect_design(pair.image, design))
        references = pair.references
        return _or_unreadable(pair.image, lambda: self.inspect(pair.image, references))

    def _open(self, image: Image) -> GrayImage:
        if isinstance(image, Path | str):
            found = open_image(Path(image), self.crop_data_bar)
        elif isinstance(image, ImagePage):
            found = image.open(self.crop_data_bar)
        else:
            found = image if isinstance(image, GrayImage) else as_gray_image(image)
        return found if self.pixel_size is None else replace(found, pixel_size=self.pixel_size)

    def _conclude(self, image: GrayImage, names: tuple[str, ...], found: ComparedReferences) -> Inspection:
        scores, judged, remarks, compared = None, _Judged(UNSURE_NAME, found.fault), list(found.remarks), None
        if found.compared:
            scores, first = combine_scores(found.compared), found.compared[0]
            area = float(np.count_nonzero(np.any([each.shown for each in found.compared], axis=0)))
            compared = share_compared([each.shown for each in found.compared])
            remarks += describe_compared(compared)
            judged = self._judge(image.pixels, first, scores, area)
            if names != (SELF,):
                least = least_score(self.false_places, area)
                remarks += [*name_odd_ones(found.compared, scores, least), *describe_periods(first)]
        return Inspection(
            path=image.path,
            references=names,
            decision=judged.decision,
            reason=judged.reason,
            places=judged.places,
            registration=found.registration,
            shape=(image.pixels.shape[0], image.pixels.shape[1]),
            pixel_size=image.pixel_size,
            data_bar_rows=image.data_bar_rows,
            remarks=tuple(remarks),
            image=image.pixels,
            reference=None if scores is None else np.where(first.shown, first.reference, np.float32(np.nan)),
            difference=scores,
            peaks=judged.peaks,
            network=self._network,
            compared=compared,
        )

    def _judge(self, image: Float32, compared: ComparedReference, scores: Float32, area: float) -> _Judged:
        """The decision and the places that count: those that differ enough, or that the network calls defects."""
        if self._classifier is None:
            rated, peaks = None, peak_scores(scores)
        else:
            pictures = PairPictures.of(image, compared.reference, compared.shown, scores)
            rated = self._classifier.rate(pictures, scores)
            peaks = tuple(place.log_odds for place in rated if place.log_odds is not None)
        highest = highest_of(peaks)
        if self.limits is not None:
            decision, reason = self.limits.decide(highest)
            least = self.limits.listed_from(decision)
        else:
            least = (least_score if rated is None else least_log_odds)(self.false_places, area)
            decision, reason = DEFECT if highest >= least else GOOD, None
        if rated is None:
            places = find_places(scores, least)
        else:
            places = tuple(place for place in rated if place.log_odds is not None and place.log_odds >= least)
        return _Judged(decision, reason, places, peaks)


def _in_order(
    compare: Callable[[Item], Inspection | UnreadableImage], items: Iterable[Item]
) -> Iterator[Inspection | UnreadableImage]:
    """Results in the order of the items, each computed in a thread."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Inspection | UnreadableImage]] = deque()
        for item in items:
            waiting.append(pool.submit(compare, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _or_unreadable(path: Path, compare: Callable[[], Inspection]) -> Inspection | UnreadableImage:
    try:
        return compare()
    except (ImageError, MemoryError, cv2.error) as error:  # OpenCV has its own error for missing memory
        return UnreadableImage.of(path, error)
