"""The classifier's network: a backbone with one grey channel, a class head and defect maps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sem_lightning.errors import SettingError
from sem_lightning.model.gray_resnet import GrayResNet, PlaceResNet
from sem_lightning.plugins import load_plugins


class NetworkOutput(NamedTuple):
    """The output of the network for a batch.

    Attributes:
        logits: Class logits of each image, [B, C].
        maps: Class logits of each cell of the last two feature maps, [B, C, H/16, W/16] and [B, C, H/32, W/32].
        features: [B, D], means of the feature maps at strides 8 and 16. They separate out-of-distribution images better
            than the last feature map, which holds little besides the class (measured on inverted images and on extreme
            noise).
    """

    logits: Tensor
    maps: tuple[Tensor, Tensor]
    features: Tensor


class ClassifierNetwork(nn.Module):
    """A backbone with a linear class head and two 1 x 1 convolutions for the defect maps.

    The input is standardised image by image (mean 0, deviation 1), so that the operator's brightness and contrast do
    not matter. The standardisation is part of the network and of every export.

    Args:
        backbone: Maps [B, 1, H, W] to feature maps at strides 8, 16 and 32. Its attribute ``channels`` lists their
            channels.
        num_classes: Number of classes, good first.
        pooling: ``average`` classifies from the mean of the last feature map, as ResNets do. ``peak_statistics`` adds
            statistics of the defect maps' peaks, see `peak_statistics`: a mean over the image hides a small defect.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, pooling: str = "average") -> None:
        super().__init__()
        self.backbone = backbone
        channels: tuple[int, int, int] = tuple(backbone.channels)  # type: ignore[arg-type]
        self.num_features = channels[0] + channels[1]
        self.class_head = nn.Linear(channels[2], num_classes)
        self.map_heads = nn.ModuleList([nn.Conv2d(count, num_classes, kernel_size=1) for count in channels[1:]])
        peaks = len(self.map_heads) * 4 * (num_classes - 1)
        self.peak_head = nn.Linear(peaks, num_classes) if pooling == "peak_statistics" else None

    def forward(self, image: Tensor) -> NetworkOutput:
        """Classify grey images [B, 1, H, W] at any brightness scale."""
        middle, fine, coarse = self.backbone(standardise(image))
        logits = self.class_head(torch.flatten(F.adaptive_avg_pool2d(coarse, 1), 1))
        maps = (self.map_heads[0](fine), self.map_heads[1](coarse))
        if self.peak_head is not None:
            evidence = [peak_statistics(cells[:, 1:] - cells[:, :1]) for cells in maps]
            logits = logits + self.peak_head(torch.cat(evidence, dim=1))
        features = torch.cat([middle.mean(dim=(2, 3)), fine.mean(dim=(2, 3))], dim=1)
        return NetworkOutput(logits, maps, features)

    def freeze_stem(self) -> None:
        """Freeze the stem, the first stage and all batch norms."""
        stem: list[nn.Module] = list(getattr(self.backbone, "stem_modules", lambda: [])())
        for module in [*stem, *(each for each in self.modules() if isinstance(each, nn.BatchNorm2d))]:
            module.requires_grad_(False)

    def take_weights(self, other: "ClassifierNetwork", heads: bool) -> None:
        """Copy another network's weights; with ``heads=False`` the class heads are not copied."""
        own = ("class_head.", "map_heads.", "peak_head.")
        state = {name: value for name, value in other.state_dict().items() if heads or not name.startswith(own)}
        self.load_state_dict(state, strict=heads)

    def fold_batch_norm(self) -> None:
        """Merge each batch norm into the convolution before it: the same function, 10 % faster at inference."""
        pairs: list[tuple[nn.Module, str, str]] = list(getattr(self.backbone, "batch_norm_pairs", lambda: [])())
        for parent, convolution, norm in pairs:
            before, after = parent.get_submodule(convolution), parent.get_submodule(norm)
            assert isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d)
            setattr(parent, convolution, fuse_conv_bn_eval(before, after))
            setattr(parent, norm, nn.Identity())


def standardise(image: Tensor) -> Tensor:
    """Shift and scale each image [B, 1, H, W] to mean 0 and deviation 1; a flat image becomes zeros."""
    deviation, mean = torch.std_mean(image, dim=(1, 2, 3), keepdim=True)
    return (image - mean) / (deviation + 1e-5)


def peak_statistics(evidence: Tensor) -> Tensor:
    """How far the highest peak of a defect map exceeds the rest of the same map.

    A large layout has many places that resemble a defect, so that its highest peak means less than the same peak in a
    small layout. The lead over the second peak corrects for this.

    Args:
        evidence: Evidence of each class in each cell of a map, [B, C, h, w].

    Returns:
        [B, 4 C]: for all classes the highest peak, then its lead over the second one (over the mean, if no second peak
        exceeds the mean), then the mean, then the deviation.
    """
    variance, mean = torch.var_mean(evidence, dim=(2, 3), correction=0)
    deviation = (variance + 1e-4).sqrt()  # the gradient of sqrt(0) is infinite
    summit = evidence >= F.max_pool2d(evidence, 3, stride=1, padding=1)
    heights = evidence.masked_fill(~summit, -torch.inf).flatten(2)
    first, second = torch.cat([heights, mean.unsqueeze(2)], dim=2).topk(2, dim=2).values.unbind(dim=2)
    return torch.cat([first, first - second, mean, deviation], dim=1)


# Blocks of each stage and channels of the first. ResNet10 has 44 % of ResNet18's weights and trains nearly twice as
# fast. ResNet18 at half the width has a quarter of the weights, ResNet10 at half the width an eighth of the operations.
# The last one judges places of a pair.
NETWORKS: dict[str, Callable[[str | None], nn.Module]] = {
    "resnet18": lambda name: GrayResNet((2, 2, 2, 2), 64),
    "resnet18_small": lambda name: GrayResNet((2, 2, 2, 2), 32),
    "resnet10": lambda name: GrayResNet((1, 1, 1, 1), 64),
    "resnet10_small": lambda name: GrayResNet((1, 1, 1, 1), 32),
    "place_resnet10": lambda name: PlaceResNet((1, 1, 1, 1), 48),
}


def register_network(name: str) -> Callable[[Any], Any]:
    """Register a backbone under a name, for ``model.network=NAME`` and for checkpoints that use it.

    The decorated class or function takes no arguments and returns a `torch.nn.Module`. The module maps float32
    [B, 1, H, W] to feature maps at strides 8, 16 and 32; its attribute ``channels`` lists their channels.

    Raises:
        ValueError: The name is taken.
    """

    def register(make: Any) -> Any:
        if name in NETWORKS:
            raise ValueError(f"a network is registered as {name} already")
        NETWORKS[name] = lambda _: make()
        return make

    return register


def build_network(network: str, name: str | None, num_classes: int, pooling: str) -> ClassifierNetwork:
    """A new network with random weights.

    Raises:
        SettingError: No network is registered under that name.
    """
    if network not in NETWORKS:
        load_plugins()
    if network == "timm":
        from sem_lightning.model.timm_backbone import TimmBackbone

        return ClassifierNetwork(TimmBackbone(str(name)), num_classes, pooling)
    if network not in NETWORKS:
        known = ", ".join([*NETWORKS, "timm"])
        raise SettingError(
            "network",
            f"found {network!r}, expected one of {known}; a network of your own is registered by an installed package "
            "(docs/extending.md)",
        )
    return ClassifierNetwork(NETWORKS[network](name), num_classes, pooling)
