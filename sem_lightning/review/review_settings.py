"""Settings of ``sem-review``: what is reviewed, in which order, and what shall be claimed."""

from dataclasses import dataclass, field
from pathlib import Path

from sem_lightning.checks import between, one_of, share
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.inference.classify_settings import ClassifySettings
from sem_lightning.io.atomic import printable
from sem_lightning.polarity import POLARITIES
from sem_lightning.review.answers import check_reviewer

ACTIONS = ("serve", "export", "import", "round")
ORDERS = ("best", "uncertainty", "novelty", "diversity", "random")  # of all images
STRATEGIES = (*ORDERS, "acceptance")
CLASS_KEYS = "123456789qwertyiopsdfjklxcn"  # the others have a meaning on the page
_LONGEST_CLASS = 64
ROUNDS = "rounds"  # folder of the trainings in that of the answers


@dataclass
class AcceptanceSettings:
    """The claim about the images that the classifier calls good.

    Attributes:
        max_rate: Share of them that may be defective.
        confidence: Of the claim.
    """

    max_rate: float = 0.01
    confidence: float = 0.95

    def __post_init__(self) -> None:
        share("max_rate", self.max_rate)
        share("confidence", self.confidence)


@dataclass(frozen=True)
class ReviewOptions:
    """How images are given to reviewers.

    Attributes:
        strategy: Order of the images, one of ``STRATEGIES``.
        second: Share of the images that two reviewers see.
        seed: Of random orders.
        acceptance: The claim.

    Raises:
        SettingError: Values out of range.
    """

    strategy: str = "best"
    second: float = 0.1
    seed: int = 0
    acceptance: AcceptanceSettings = field(default_factory=AcceptanceSettings)

    def __post_init__(self) -> None:
        one_of("strategy", self.strategy, STRATEGIES)
        between("second", self.second, 0, 1)
        between("seed", self.seed, 0, 2**32 - 1)


@dataclass
class ReviewSettings(ClassifySettings):
    """``conf/review.yaml`` documents every key."""

    action: str
    images: str
    output: str
    strategy: str
    classes: list[str] | None
    reviewer: str | None
    second: float
    acceptance: AcceptanceSettings
    labels: str | None
    host: str
    port: int
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("action", self.action, ACTIONS)
        if self.polarity is not None:
            one_of("polarity", self.polarity, (*POLARITIES, "auto"))
        if (self.labels is None) is (self.action == "import"):
            raise SettingError("labels", "needs a value with action=import, and has none with any other")
        between("port", self.port, 0, 65535)
        check_classes(self.classes or [])
        if self.reviewer is not None:
            check_reviewer(self.reviewer)
        self.options()

    def options(self) -> ReviewOptions:
        """How images are given to reviewers.

        Raises:
            SettingError: Values out of range.
        """
        return ReviewOptions(self.strategy, self.second, self.seed, self.acceptance)

    def training(self, output: Path) -> list[str]:
        """The overrides of a training on the answers in ``output``, for ``action=round``.

        Raises:
            SettingError: A checkpoint of an earlier round, which has seen images of this round's test.
        """
        rounds = (output / ROUNDS).resolve()
        if rounds in Path(self.ckpt).expanduser().resolve().parents:
            raise SettingError(
                "ckpt", f"found {self.ckpt}, whose training saw images of this round's test; every round starts anew: "
                "name what the first one started from, such as robust"
            )  # fmt: skip
        accelerator = "cpu" if self.device == "cpu" else "auto"
        return [
            "experiment=finetune",
            f"data.root={output}",
            f"init_from={self.ckpt}",
            f"seed={self.seed}",
            f"trainer.accelerator={accelerator}",
        ]


def check_classes(classes: list[str]) -> list[str]:
    """The classes of the page.

    Raises:
        SettingError: Too many, one twice, or a name that cannot be one.
    """
    if len(classes) > len(CLASS_KEYS):
        raise SettingError("classes", f"found {len(classes)}, expected at most {len(CLASS_KEYS)}, one for each key")
    for name in classes:
        if not 0 < len(name) <= _LONGEST_CLASS or name != printable(name).strip() or name == UNSURE_NAME:
            raise SettingError("classes", f"found {name!r}, expected a printable name that is not {UNSURE_NAME}")
    if len(set(classes)) < len(classes):
        raise SettingError("classes", f"found {', '.join(classes)}; name each class once")
    return classes
