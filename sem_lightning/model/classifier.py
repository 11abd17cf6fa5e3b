"""The LightningModule: losses, optimiser, metrics and checkpoint content."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import MeanMetric

from sem_lightning.decision.rule import Rule
from sem_lightning.errors import SettingError
from sem_lightning.model.augmix import MIXTURES, generator_for, jensen_shannon, mix
from sem_lightning.model.checkpoint import TrainedModel, load_model, rule_state
from sem_lightning.model.mask_loss import mask_loss
from sem_lightning.model.metrics import build_metrics, name_scalars
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.model.network import NetworkOutput, build_network


class SEMClassifier(lightning.LightningModule):
    """A grayscale network trained with cross-entropy on the image's class and on the defect mask.

    Batches come from `sem_lightning.data.datamodule.SEMDataModule`. ``validation_step`` and ``test_step`` use one view
    of each image. `sem_lightning.inference.predictor.Predictor` judges files.

    Args:
        settings: The settings for the checkpoint, also as plain values.
        options: The attributes of `ModelSettings`, in place of ``settings``.

    Attributes:
        settings: The frozen settings.
        net: The network.
        rule: Maps scores to decisions; stored in the checkpoint.

    Example:
        >>> classifier = SEMClassifier(classes=["good", "gap", "bridge"], image_size=128, learning_rate=1e-3)
    """

    def __init__(self, settings: ModelSettings | Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__()
        if settings is None:
            settings = ModelSettings(**options)
        elif not isinstance(settings, ModelSettings):
            settings = ModelSettings.from_dict(settings)
        self.settings = settings
        self.save_hyperparameters({"settings": settings.to_dict()})
        net = build_network(settings.network, settings.name, len(settings.classes), settings.pooling)
        self.net = net.to(memory_format=torch.channels_last)
        if settings.frozen == "stem":
            self.net.freeze_stem()
        weights = settings.class_weights
        self.loss_weights = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        # A NaN loss must stay visible. With this strategy torchmetrics 1.9 ignores weights, so each image is one value.
        self.val_loss = MeanMetric(nan_strategy="disable")
        self.val_metrics = build_metrics(len(settings.classes))
        self.test_metrics = build_metrics(len(settings.classes))
        self.rule = Rule()

    @property
    def classes(self) -> list[str]:
        """Class names in label order."""
        return list(self.settings.classes)

    @property
    def trained(self) -> TrainedModel:
        """The network, its settings and its rule, for the Predictor."""
        return TrainedModel(self.settings, self.net, self.rule)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["decision_rule"] = rule_state(self.rule)

    def forward(self, image: Tensor) -> NetworkOutput:
        """Class logits and maps of grey images: float32 [B, 1, H, W], any brightness scale."""
        output: NetworkOutput = self.net(image.contiguous(memory_format=torch.channels_last))
        return output

    def train(self, mode: bool = True) -> "SEMClassifier":
        """Set training mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self.settings.frozen == "stem":
            for module in self.net.modules():
                if isinstance(module, _BatchNorm):  # includes SyncBatchNorm
                    module.eval()
        return self

    def on_train_start(self) -> None:
        self.train()  # Lightning does not change the mode of modules

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        output, divergence = self._run(batch["image"], batch_index)
        weights = None if self.loss_weights is None else self.loss_weights.to(output.logits.device)
        loss = F.cross_entropy(output.logits, batch["label"], weight=weights)
        self.log("train/label_loss", loss)
        if self.settings.mask_weight > 0:
            map_loss = mask_loss(output.maps, batch["label"], batch["mask"])
            self.log("train/mask_loss", map_loss)
            loss = loss + self.settings.mask_weight * map_loss
        if divergence is not None:
            self.log("train/augmix_divergence", divergence)
            loss = loss + self.settings.augmix_weight * divergence
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def _run(self, image: Tensor, batch_index: int) -> tuple[NetworkOutput, Tensor | None]:
        """The output for training images and, with AugMix, the divergence between images and mixtures."""
        if self.settings.augmix_weight == 0:
            return self(image), None
        generator = generator_for(self.settings.seed, self.current_epoch, batch_index, self.global_rank, image.device)
        mixed = [mix(image, generator).to(image.dtype) for _ in range(MIXTURES)]
        logits, maps, features = self(torch.cat([image, *mixed]))
        count = len(image)
        output = NetworkOutput(logits[:count], (maps[0][:count], maps[1][:count]), features[:count])
        return output, jensen_shannon(logits.unflatten(0, (MIXTURES + 1, count)))

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        logits = self(batch["image"]).logits
        self.val_loss.update(F.cross_entropy(logits, batch["label"], reduction="none"))
        self.val_metrics.update(logits, batch["label"])

    def on_validation_epoch_end(self) -> None:
        scalars = name_scalars(self.val_metrics.compute(), self.classes, "val")
        # own metric: Lightning 2.6 averages processes with different numbers of images incorrectly
        self.log("val/loss", self.val_loss.compute(), prog_bar=True, sync_dist=True)
        self.val_loss.reset()
        # all processes have the same values, so their mean is correct
        self.log("val/accuracy", scalars.pop("val/accuracy"), prog_bar=True, sync_dist=True)
        self.log_dict(scalars, sync_dist=True)
        self.val_metrics.reset()

    def test_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        self.test_metrics.update(self(batch["image"]).logits, batch["label"])

    def on_test_epoch_end(self) -> None:
        self.log_dict(name_scalars(self.test_metrics.compute(), self.classes, "test"), sync_dist=True)
        self.test_metrics.reset()

    def configure_optimizers(self) -> Any:
        settings = self.settings
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups = [
            {"params": [each for each in learning if each.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [each for each in learning if each.ndim <= 1], "weight_decay": 0.0},
        ]
        # Lightning cannot clip gradients of a fused optimiser in mixed precision.
        fused = not self.trainer.gradient_clip_val
        optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=fused)
        if settings.schedule == "constant":
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if not math.isfinite(steps):
            raise SettingError(
                "model.schedule",
                f"{settings.schedule} must know the end of training: set trainer.max_epochs or trainer.max_steps, or "
                "model.schedule=constant",
            )
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(settings.schedule, (step + 1) / steps, settings.warmup)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def learning_rate_factor(schedule: str, progress: float, warmup: float) -> float:
    """Share of the peak learning rate.

    torch's OneCycleLR (2.14) divides by zero if ``warmup`` times the steps is 1, and raises beyond its last step.

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


def load_classifier(name: str | Path) -> SEMClassifier:
    """A LightningModule from a checkpoint, for further training or a Trainer; see `load_model`."""
    model = load_model(name)
    classifier = SEMClassifier(model.settings)
    classifier.net.load_state_dict(model.net.state_dict())
    classifier.rule = model.rule
    return classifier.eval()
