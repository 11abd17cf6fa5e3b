"""The LightningModule: losses, optimiser, metrics, and what a checkpoint remembers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import MeanMetric

from sem_lightning.decision.rule import Rule
from sem_lightning.errors import SettingError, UserError
from sem_lightning.evaluation.metrics import build_metrics, name_scalars
from sem_lightning.files import write_atomically
from sem_lightning.model.augmix import MIXTURES, disagreement, draws_of, mix
from sem_lightning.model.checkpoint import read_checkpoint
from sem_lightning.model.combination import combine
from sem_lightning.model.compact import SUFFIX, read_compact, write_compact
from sem_lightning.model.mask_loss import mask_loss
from sem_lightning.model.resnet import GrayResNet, Prediction
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.synthesis.imaging import MAX_IMAGE_SIZE

RULE_KEY = "decision_rule"  # in a checkpoint
_OF_TRAINING = ("optimizer_states", "lr_schedulers", "loops", "callbacks")  # belong to the weights that were trained
MAX_SCALE = 8  # of what prediction looks at, times the image size
FROZEN = ("nothing", "stem")
SCHEDULES = ("constant", "linear", "onecycle")


class SEMClassifier(lightning.LightningModule):
    """Grayscale ResNet trained with cross-entropy on the image's class and, beside it, on the defect mask.

    Everything that prediction needs is an argument, a plain Python value, and so travels in the checkpoint, which
    loads with ``weights_only=True``. So does ``rule``, by which its answers become decisions.

    Args:
        classes: Class names in label order.
        image_size: Height and width of a square image, pixels; others are resized to as many pixels.
        pixel_size: nm per pixel of the training images, where known.
        polarity: ``bright`` or ``dark``: which the feature was in training, where known; ``either`` for both, and
            negatives of dark ones: images that are known to be dark can be judged as negatives then.
        folder: Of training images on disk: which, and how they were divided into splits, see `Source`.
        seed: Seed of the training run; with it a folder that is divided at random divides so again.
        learning_rate: Peak rate of Adam.
        weight_decay: Decoupled decay of all weights but biases and batch norm (AdamW); 0 is plain Adam.
        schedule: ``constant``, ``linear`` (warm-up, then down to zero) or ``onecycle`` (Smith and Topin, 2018).
        warmup: Share of training until the rate has reached its peak.
        mask_weight: Weight of each feature map's cross-entropy against the defect mask; 0 learns from labels alone.
        consistency: Weight of how far answers to an image and to two mixtures with itself disagree (AugMix, see
            `mix`); 0 leaves the mixtures out. Three images are looked at instead of one.
        network: ``resnet18``, ``resnet18_small`` or ``resnet10``.
        pooling: ``average`` or ``peaks``, see `GrayResNet`.
        scales: Sizes at which prediction and tests look at an image, times ``image_size``: several for a classifier
            that was trained on patterns of any magnification, and so does not ask for pixel sizes.
        frozen: ``nothing``, or ``stem``: neither the stem, the first stage nor any batch norm learn, as befits training
            on a handful of images.
        class_weights: Weight of each class in the loss; ``None`` weighs all alike.
    """

    def __init__(
        self,
        classes: list[str],
        image_size: int,
        pixel_size: float | None = None,
        polarity: str | None = None,
        folder: dict[str, Any] | None = None,
        seed: int = 0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: str = "constant",
        warmup: float = 0.1,
        mask_weight: float = 0.0,
        consistency: float = 0.0,
        network: str = "resnet18",
        pooling: str = "average",
        scales: Sequence[float] = (1.0,),
        frozen: str = "nothing",
        class_weights: list[float] | None = None,
    ) -> None:
        super().__init__()
        named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
        if not named or len(classes) < 2 or not isinstance(image_size, int) or not 16 <= image_size <= MAX_IMAGE_SIZE:
            raise ValueError("classes must be two names or more, and the image size 16 pixels or more")
        check_scales(scales)
        scales = list(scales)
        self.save_hyperparameters()
        self.classes = classes
        self.image_size = image_size
        self.net = GrayResNet(len(classes), network, pooling).to(memory_format=torch.channels_last)
        if frozen == "stem":
            self.net.freeze_stem()
        self.loss_weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        # a loss that is no number shall be seen; asked for that, torchmetrics 1.9 forgets weights: so one an image
        self.val_loss = MeanMetric(nan_strategy="disable")
        self.val_metrics = build_metrics(len(classes))
        self.test_metrics = build_metrics(len(classes))
        self.rule = Rule()

    @property
    def knows_good(self) -> bool:
        """Whether the first class is good, so that the others are defects."""
        return self.classes[0] == GOOD

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[RULE_KEY] = self.rule.to_dict()

    def forward(self, image: Tensor) -> Prediction:
        """Class logits and maps of grey images: float32 [B, 1, H, W], any brightness scale."""
        prediction: Prediction = self.net(image.contiguous(memory_format=torch.channels_last))
        return prediction

    def take_back(self, start: dict[str, Tensor], share: float) -> None:
        """Take back a share of what training changed since ``start``, batch norms' statistics included.

        Between the weights that it started from and those that it ended with lie classifiers that do better on what
        either knows than both (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

        Args:
            start: A state of this classifier.
            share: From 0, nothing, to 1, everything.
        """
        with torch.no_grad():
            for name, value in self.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(start[name], share)

    def average(self, others: Sequence["SEMClassifier"]) -> None:
        """Take the mean of its own and others' weights, batch norms' statistics included; its rule starts anew.

        Of trainings that began with the same weights it often does better on what is unlike the training images than
        each of them (Wortsman et al., Model soups, ICML 2022).

        Args:
            others: Classifiers with the same network and classes.
        """
        for number, other in enumerate(others, start=2):
            self.take_back(other.state_dict(), 1 / number)
        self.rule = Rule()

    def heatmap(self, prediction: Prediction) -> Tensor:
        """Where the defect is believed to be: [B, H/16, W/16], probability that a cell is not good."""
        probability: Tensor = 1 - prediction.maps[0].softmax(dim=1)[:, 0]
        return probability

    def train(self, mode: bool = True) -> "SEMClassifier":
        """Training mode; frozen batch norms stay as they are."""
        super().train(mode)
        if self.hparams["frozen"] == "stem":
            for module in self.net.modules():
                if isinstance(module, _BatchNorm):  # also those of several processes together
                    module.eval()
        return self

    def on_train_start(self) -> None:
        self.train()  # Lightning leaves modules in the mode that they are in

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        prediction, differing = self._look(batch["image"], batch_index)
        weights = None if self.loss_weights is None else self.loss_weights.to(prediction.logits.device)
        loss = F.cross_entropy(prediction.logits, batch["label"], weight=weights)
        self.log("train/label_loss", loss)
        if self.hparams["mask_weight"] > 0:
            map_loss = mask_loss(prediction.maps, batch["label"], batch["mask"])
            self.log("train/mask_loss", map_loss)
            loss = loss + float(self.hparams["mask_weight"]) * map_loss
        if differing is not None:
            self.log("train/disagreement", differing)
            loss = loss + float(self.hparams["consistency"]) * differing
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def _look(self, image: Tensor, batch_index: int) -> tuple[Prediction, Tensor | None]:
        """The prediction for training images and, where that counts, how far those for mixtures of them disagree."""
        if self.hparams["consistency"] == 0:
            return self(image), None
        generator = draws_of(self.hparams["seed"], self.current_epoch, batch_index, self.global_rank, image.device)
        mixed = [mix(image, generator).to(image.dtype) for _ in range(MIXTURES)]
        logits, maps, features = self(torch.cat([image, *mixed]))
        count = len(image)
        prediction = Prediction(logits[:count], (maps[0][:count], maps[1][:count]), features[:count])
        return prediction, disagreement(logits.unflatten(0, (MIXTURES + 1, count)))

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        logits = self(batch["image"]).logits
        self.val_loss.update(F.cross_entropy(logits, batch["label"], reduction="none"))
        self.val_metrics.update(logits, batch["label"])

    def on_validation_epoch_end(self) -> None:
        scalars = name_scalars(self.val_metrics.compute(), self.classes, "val")
        # a metric of our own: Lightning 2.6 divides shares of different sizes by a mean that it rounds down
        self.log("val/loss", self.val_loss.compute(), prog_bar=True, sync_dist=True)
        self.val_loss.reset()
        # of several processes all have the same values, so that their mean is what each has
        self.log("val/accuracy", scalars.pop("val/accuracy"), prog_bar=True, sync_dist=True)
        self.log_dict(scalars, sync_dist=True)
        self.val_metrics.reset()

    def test_step(self, batch: dict[str, Any], batch_index: int) -> dict[str, Tensor]:
        """``logits`` and ``features`` of a batch, for callbacks that report."""
        answers = self.answer(batch)
        self.test_metrics.update(answers["logits"], batch["label"])
        return answers

    def predict_step(self, batch: dict[str, Any], batch_index: int) -> dict[str, Tensor]:
        """``logits``, ``features`` and ``label`` of a batch."""
        return {**self.answer(batch), "label": batch["label"]}

    def answer(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """``logits`` [B, C] of all looks at each image together, and ``features`` [B, D] of the first.

        Where a trainer's precision is mixed, in 32 bits all the same: rules are made from these answers and reports
        judge them, and sem-predict decides in 32.

        Args:
            batch: ``image`` or, where images are looked at several times, ``looks``, see
                `sem_lightning.data.looks.collate`; see `combine`.
        """
        with torch.autocast(self.device.type, enabled=False):
            return self._answer(batch)

    def _answer(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        if "looks" not in batch:
            logits, _, features = self(batch["image"])
            return {"logits": logits, "features": features}
        size, device = len(batch["label"]), batch["label"].device
        most = 1 + max(number for number, *_ in batch["looks"])
        answers = torch.zeros((size, most, len(self.classes)), dtype=torch.float32, device=device)
        counts = torch.zeros((size, most), dtype=torch.float32, device=device)
        features = torch.zeros((size, self.net.features), dtype=torch.float32, device=device)
        for number, rows, weights, looks in batch["looks"]:
            logits, _, seen = self(looks)
            answers[rows, number] = logits.float()
            counts[rows, number] = weights.float()
            if number == 0:
                features[rows] = seen.float()
        return {"logits": combine(answers, counts, self.knows_good), "features": features}

    def on_test_epoch_start(self) -> None:
        self.test_metrics.reset()

    def on_test_epoch_end(self) -> None:
        self.log_dict(name_scalars(self.test_metrics.compute(), self.classes, "test"), sync_dist=True)

    def configure_optimizers(self) -> Any:
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        decayed = [parameter for parameter in learning if parameter.ndim > 1]
        others = [parameter for parameter in learning if parameter.ndim <= 1]
        rate, decay = self.hparams["learning_rate"], self.hparams["weight_decay"]
        groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        # Lightning cannot clip gradients of a fused optimiser under mixed precision.
        optimizer = torch.optim.AdamW(groups, lr=rate, fused=not self.trainer.gradient_clip_val)
        if self.hparams["schedule"] == "constant":
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if not math.isfinite(steps):
            raise SettingError(
                "model.schedule",
                f"{self.hparams['schedule']} must know the end of training: set trainer.max_epochs or "
                "trainer.max_steps, or model.schedule=constant",
            )
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor(self.hparams["schedule"], (step + 1) / steps, self.hparams["warmup"])
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def check_scales(scales: Sequence[float] | None) -> None:
    """Refuse scales that do not rise from 1 to at most 8; ``None``, those of a classifier, passes.

    Raises:
        SettingError: They do not.
    """
    if scales is None:
        return
    numbers = [*scales]
    if (
        not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers)
        or not numbers
        or numbers[0] != 1
    ):
        raise SettingError("scales", f"found {numbers}, expected numbers that begin with 1")
    if sorted(set(numbers)) != numbers or numbers[-1] > MAX_SCALE:
        raise SettingError("scales", f"found {numbers}, expected rising numbers from 1 to {MAX_SCALE}")


def rate_factor(schedule: str, progress: float, warmup: float) -> float:
    """Share of the peak learning rate.

    Args:
        schedule: ``linear`` (up from zero, down to zero) or ``onecycle`` (half cosines from 1/25 up and down to zero).
        progress: Share of training that is done, 0 to 1.
        warmup: Share of training until the peak.
    """
    rising = progress < warmup
    way = progress / warmup if rising else (1 - progress) / (1 - warmup)  # 1 at the peak
    way = max(way, 0.0)
    if schedule == "linear":
        return way
    start = 0.04 if rising else 0.0
    return start + (1 - start) * (1 - math.cos(math.pi * way)) / 2


def load_classifier(path: Path) -> SEMClassifier:
    """A classifier from a checkpoint that training wrote, on the CPU and ready to predict; nothing is unpickled.

    Raises:
        UserError: No such file, or not a checkpoint of this package.
    """
    state = _read(path)
    try:
        classifier = SEMClassifier(**state["hyper_parameters"])
        classifier.load_state_dict(state["state_dict"])
        if RULE_KEY in state:
            classifier.rule = Rule.from_dict(state[RULE_KEY])
        known = classifier.rule.familiarity
        if known is not None and known.means.shape != (len(classifier.classes), classifier.net.features):
            raise ValueError("the decision rule is for another network")
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError, SettingError) as error:
        raise UserError(f"{path}: written by another version of sem-lightning ({str(error).splitlines()[0]})") from None
    return classifier.eval()


def save_rule(
    path: Path,
    rule: Rule,
    target: Path | None = None,
    scales: Sequence[float] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> None:
    """Put a rule into a checkpoint, whole or not at all.

    Args:
        path: The checkpoint.
        rule: Its new rule.
        target: Where to write it; ``None`` replaces it. A name that ends in ``.safetensors`` stores half precision.
        scales: Those that the rule was made for, at which it shall look from now on; ``None`` leaves its own.
        weights: That it shall have from now on, with no training to go on from; ``None`` leaves its own.
    """
    state = _read(path) | {RULE_KEY: rule.to_dict()}
    if scales is not None:
        state["hyper_parameters"] = {**state["hyper_parameters"], "scales": list(scales)}
    if weights is not None:
        state = {name: value for name, value in state.items() if name not in _OF_TRAINING} | {"state_dict": weights}
    target = target or path
    if target.suffix == SUFFIX:
        write_atomically(target, lambda temporary: write_compact(temporary, state, RULE_KEY))
    else:
        write_atomically(target, lambda temporary: torch.save(state, temporary))


def save_weights(path: Path, classifier: SEMClassifier) -> None:
    """Put other weights of the same classifier into its checkpoint, whole or not at all."""
    state = _read(path) | {"state_dict": classifier.state_dict()}
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def _read(path: Path) -> dict[str, Any]:
    return read_compact(path, RULE_KEY) if path.suffix == SUFFIX else read_checkpoint(path)
