"""The settings of a classifier, stored in its checkpoint."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sem_lightning.checks import check_weights
from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import printable
from sem_lightning.polarity import Polarity
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.synthesis.imaging import MAX_IMAGE_SIZE

POOLINGS = ("average", "peak_statistics")
FROZEN = ("nothing", "stem")
SCHEDULES = ("constant", "linear", "onecycle")
PLACE_NETWORKS = ("place_resnet10",)
MAX_VIEW_SCALE = 8
_MAX_VIEWS = 16


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Everything in a checkpoint besides weights and rule, as plain values.

    Attributes:
        classes: Class names in label order.
        image_size: Height and width of a square training image, pixels.
        pixel_size: nm per pixel of the training images, if known.
        polarity: Polarity of the training images, if known: ``bright``, ``dark`` or ``either``, see
            `sem_lightning.polarity.Polarity`.
        folder: Fingerprint of a training folder on disk and its division into splits, see
            `sem_lightning.data.sources.Source`.
        seed: Seed of the training run.
        class_weights: Weight of each class in the loss; ``None`` for equal weights.
        network: Name of a registered network, see `sem_lightning.model.network.NETWORKS`.
        name: Name of timm's network, for ``network="timm"``.
        pooling: ``average`` or ``peak_statistics``, see `sem_lightning.model.network.ClassifierNetwork`.
        view_scales: Sizes of the views of inference, times ``image_size``. Several scales mean that the classifier was
            trained on patterns of any magnification and needs no pixel sizes.
        learning_rate: Peak rate of AdamW.
        weight_decay: Decoupled decay of all weights except biases and batch norms; 0 is plain Adam.
        schedule: ``constant``, ``linear`` (warm-up, then down to zero) or ``onecycle`` (Smith and Topin, 2018).
        warmup: Share of training until the rate reaches its peak.
        mask_weight: Weight of each feature map's cross-entropy on the defect mask; 0 trains on labels alone.
        augmix_weight: Weight of the Jensen-Shannon consistency of AugMix; 0 switches AugMix off.
        frozen: ``nothing``, or ``stem``: the stem, the first stage and all batch norms are not trained.

    Raises:
        SettingError: A value that cannot be used.
    """

    classes: tuple[str, ...]
    image_size: int
    pixel_size: float | None = None
    polarity: str | None = None
    folder: dict[str, Any] | None = None
    seed: int = 0
    class_weights: tuple[float, ...] | None = None
    network: str = "resnet18"
    name: str | None = None
    pooling: str = "average"
    view_scales: tuple[float, ...] = (1.0,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.1
    mask_weight: float = 0.0
    augmix_weight: float = 0.0
    frozen: str = "nothing"

    def __post_init__(self) -> None:
        if isinstance(self.polarity, Polarity):  # from a source; a checkpoint holds plain values
            object.__setattr__(self, "polarity", str(self.polarity))
        for name in ("classes", "view_scales", "class_weights"):  # lists from JSON and YAML
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        check_classes(self.classes)
        if self.polarity is not None and self.polarity not in tuple(Polarity):
            raise SettingError("polarity", f"found {self.polarity!r}, expected one of {', '.join(Polarity)}")
        if self.pixel_size is not None and not (_is_number(self.pixel_size) and 0 < self.pixel_size < math.inf):
            raise SettingError("pixel_size", f"found {self.pixel_size!r}, expected nm above 0")
        if not isinstance(self.image_size, int) or not 16 <= self.image_size <= MAX_IMAGE_SIZE:
            raise SettingError("image_size", f"found {self.image_size!r}, expected 16 to {MAX_IMAGE_SIZE} pixels")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise SettingError("seed", f"found {self.seed!r}, expected a whole number from 0 to {2**32 - 1}")
        if self.folder is not None and not _is_folder(self.folder):
            raise SettingError("folder", f"found {self.folder!r}, expected root, images, seed and shares of a folder")
        if self.class_weights is not None:
            weights = self.class_weights
            if not isinstance(weights, tuple) or not all(map(_is_number, weights)):
                raise SettingError("class_weights", f"found {weights!r}, expected numbers")
            check_weights("class_weights", weights, self.classes)
        check_recipe(self)

    @property
    def knows_good(self) -> bool:
        """Whether the first class is good and the others are defects."""
        return self.classes[0] == GOOD

    @property
    def judges_places(self) -> bool:
        """Whether it judges places of pairs, as pictures of four quarters, and no whole images."""
        return self.network in PLACE_NETWORKS

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "ModelSettings":
        """From a checkpoint.

        Raises:
            SettingError: A value that cannot be used.
            TypeError: An unknown or missing key.
        """
        return ModelSettings(**values)


def check_classes(classes: Any) -> None:
    """Check that there are two class names or more, different ones, of printable characters.

    Raises:
        SettingError: For the key ``classes``.
    """
    if not isinstance(classes, tuple) or not all(isinstance(name, str) for name in classes) or len(classes) < 2:
        raise SettingError("classes", f"found {classes!r}, expected two names or more")
    if len(set(classes)) < len(classes):
        raise SettingError("classes", f"found {', '.join(classes)}; name each class once")
    for name in classes:
        if printable(name) != name or not name.strip():
            raise SettingError("classes", f"found {name!r}, expected a name of printable characters; rename it")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_folder(value: object) -> bool:
    """Whether this is the fingerprint of a folder, see `ModelSettings.folder`."""
    kinds = {"root": str, "images": str, "seed": int, "shares": dict, "fold": list}
    return isinstance(value, dict) and all(isinstance(value[name], kinds.get(name, ())) for name in value)


# The keys of conf/model/*.yaml that a checkpoint keeps. The others follow from the data.
RECIPE_FIELDS = tuple(
    field
    for field in dataclasses.fields(ModelSettings)
    if field.name not in ("classes", "image_size", "pixel_size", "polarity", "folder", "seed", "class_weights")
)


def check_recipe(recipe: Any) -> None:
    """Check the values of the keys of ``conf/model/*.yaml``.

    Raises:
        SettingError: The first key with an invalid value.
    """
    for key, allowed in (("pooling", POOLINGS), ("schedule", SCHEDULES), ("frozen", FROZEN)):
        if getattr(recipe, key) not in allowed:
            raise SettingError(key, f"found {getattr(recipe, key)!r}, expected one of {', '.join(allowed)}")
    if recipe.network == "timm" and recipe.name is None:
        raise SettingError("name", "needs a value: one of timm's networks, such as resnet34")
    if recipe.network != "timm" and recipe.name is not None:
        raise SettingError("name", f"found {recipe.name!r}, which is for network=timm; leave it out")
    check_view_scales(recipe.view_scales or ())
    if not 0 < recipe.learning_rate < math.inf:
        raise SettingError("learning_rate", f"found {recipe.learning_rate:g}, expected a number above 0")
    for key in ("weight_decay", "mask_weight", "augmix_weight"):
        if not 0 <= getattr(recipe, key) < math.inf:
            raise SettingError(key, f"found {getattr(recipe, key):g}, expected a number from 0")
    if not 0 < recipe.warmup < 1:
        raise SettingError("warmup", f"found {recipe.warmup:g}, expected a share of training between 0 and 1")


def check_view_scales(scales: Sequence[float] | None) -> None:
    """Check that scales increase from 1 to at most 8. ``None`` (the scales of the classifier) passes.

    Raises:
        SettingError: Invalid scales.
    """
    if scales is None:
        return
    if not isinstance(scales, Sequence) or isinstance(scales, str):
        raise SettingError("view_scales", f"found {scales!r}, expected a list of numbers")
    numbers = [*scales]
    finite = all(isinstance(each, int | float) and math.isfinite(each) for each in numbers)
    if not finite or not 1 <= len(numbers) <= _MAX_VIEWS or numbers[0] != 1:
        raise SettingError("view_scales", f"found {numbers}, expected up to {_MAX_VIEWS} numbers that begin with 1")
    if sorted(set(numbers)) != numbers or numbers[-1] > MAX_VIEW_SCALE:
        raise SettingError("view_scales", f"found {numbers}, expected rising numbers from 1 to {MAX_VIEW_SCALE}")
