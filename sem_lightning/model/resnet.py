"""ResNet18 for one grey channel, with a map of defect classes beside the image's class."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock, ResNet


class Prediction(NamedTuple):
    """What the network says of a batch.

    Attributes:
        logits: [B, C], the image's class.
        maps: Class logits of each cell of the last two feature maps, [B, C, H/16, W/16] and [B, C, H/32, W/32].
        features: [B, 6 W], means of the second and third stage's feature maps, W being the network's width. They tell
            images that are unlike the training ones better than the last stage's, which keeps little beside the class
            (measured: inverted images and extreme noise).
    """

    logits: Tensor
    maps: tuple[Tensor, Tensor]
    features: Tensor


# Blocks of each stage, and channels of the first. ResNet10 has 44 % of ResNet18's weights and trains nearly twice as
# fast; half as wide, ResNet18 has a quarter of them.
NETWORKS = {"resnet18": ((2, 2, 2, 2), 64), "resnet18_small": ((2, 2, 2, 2), 32), "resnet10": ((1, 1, 1, 1), 64)}
POOLINGS = ("average", "peaks")


class _Backbone(ResNet):  # type: ignore[misc]
    """torchvision's ResNet of basic blocks, with one input channel and any width."""

    def __init__(self, blocks: tuple[int, ...], width: int, num_classes: int) -> None:
        super().__init__(BasicBlock, list(blocks), num_classes=num_classes)
        if width != 64:  # torchvision knows one width of basic blocks
            self.inplanes = width
            self.bn1 = nn.BatchNorm2d(width)
            for stage, count in enumerate(blocks):
                layer = self._make_layer(BasicBlock, width << stage, count, stride=1 if stage == 0 else 2)
                setattr(self, f"layer{stage + 1}", layer)
            self.fc = nn.Linear(8 * width, num_classes)
        self.conv1 = nn.Conv2d(1, width, kernel_size=7, stride=2, padding=3, bias=False)
        convolutions = [self.conv1] if width == 64 else [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        for convolution in convolutions:
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")


class GrayResNet(nn.Module):
    """torchvision's ResNet (He et al., CVPR 2016) with a one-channel stem and two 1 x 1 convolutions for the maps.

    The input is standardised image by image (mean 0, deviation 1), so that brightness and contrast, which the
    operator sets, do not matter; being part of the network, this travels into every export.

    Args:
        num_classes: Classes, good first.
        network: Of ``NETWORKS``.
        pooling: ``average`` answers from the mean of the last feature map, as ResNets do. ``peaks`` adds what stands
            out of the maps' evidence for each defect, see `standing_out`: a mean over the image hides what is small.
    """

    def __init__(self, num_classes: int, network: str = "resnet18", pooling: str = "average") -> None:
        super().__init__()
        blocks, width = NETWORKS[network]
        self.backbone = _Backbone(blocks, width, num_classes)
        self.features = 6 * width
        heads = [nn.Conv2d(times * width, num_classes, kernel_size=1) for times in (4, 8)]
        self.map_heads = nn.ModuleList(heads)
        self.peaks = nn.Linear(len(heads) * 4 * (num_classes - 1), num_classes) if pooling == "peaks" else None

    def forward(self, image: Tensor) -> Prediction:
        """Classify grey images [B, 1, H, W] of any brightness scale."""
        net = self.backbone
        x = standardise(image)
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        middle = net.layer2(net.layer1(x))
        fine = net.layer3(middle)
        coarse = net.layer4(fine)
        logits = net.fc(torch.flatten(net.avgpool(coarse), 1))
        maps = (self.map_heads[0](fine), self.map_heads[1](coarse))
        if self.peaks is not None:
            evidence = [standing_out(cells[:, 1:] - cells[:, :1]) for cells in maps]
            logits = logits + self.peaks(torch.cat(evidence, dim=1))
        features = torch.cat([middle.mean(dim=(2, 3)), fine.mean(dim=(2, 3))], dim=1)
        return Prediction(logits, maps, features)

    def freeze_stem(self) -> None:
        """Let neither the stem and first stage nor any batch norm learn."""
        kept = [self.backbone.conv1, self.backbone.layer1]
        kept += [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        for module in kept:
            module.requires_grad_(False)

    def take_weights(self, other: "GrayResNet", heads: bool) -> None:
        """Another network's weights; without ``heads`` those that answer for classes stay as they are."""
        own = ("backbone.fc.", "map_heads.", "peaks.")
        state = {name: value for name, value in other.state_dict().items() if heads or not name.startswith(own)}
        self.load_state_dict(state, strict=heads)

    def fold_batch_norm(self) -> None:
        """Make each batch norm a part of the convolution before it: the same answers, a tenth sooner, for good.

        Only for a network in evaluation mode, which no one goes on training.
        """
        _fold(self.backbone, "conv1", "bn1")
        for block in self.backbone.modules():
            if isinstance(block, BasicBlock):
                _fold(block, "conv1", "bn1")
                _fold(block, "conv2", "bn2")
                if block.downsample is not None:
                    _fold(block.downsample, "0", "1")


def _fold(parent: nn.Module, convolution: str, norm: str) -> None:
    before, after = parent.get_submodule(convolution), parent.get_submodule(norm)
    assert isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d)
    setattr(parent, convolution, fuse_conv_bn_eval(before, after))
    setattr(parent, norm, nn.Identity())


def standardise(image: Tensor) -> Tensor:
    """Each image [B, 1, H, W] shifted and scaled to mean 0 and deviation 1; a flat one becomes zeros."""
    deviation, mean = torch.std_mean(image, dim=(1, 2, 3), keepdim=True)
    return (image - mean) / (deviation + 1e-5)


def standing_out(evidence: Tensor) -> Tensor:
    """How far the strongest evidence in any place stands out of the same image's other evidence.

    A large layout has many places that look a little like a defect, so that the strongest of them says less than in a
    small one: what counts is whether there is another like it.

    Args:
        evidence: Of each class in each cell of a map, [B, C, h, w].

    Returns:
        [B, 4 C]: of all classes the peak, then its lead over the next peak (over the mean where there is none above),
        then the mean, then the deviation.
    """
    variance, mean = torch.var_mean(evidence, dim=(2, 3), correction=0)
    deviation = (variance + 1e-4).sqrt()  # the root of 0 has no gradient
    summit = evidence >= F.max_pool2d(evidence, 3, stride=1, padding=1)
    heights = evidence.masked_fill(~summit, -torch.inf).flatten(2)
    first, second = torch.cat([heights, mean.unsqueeze(2)], dim=2).topk(2, dim=2).values.unbind(dim=2)
    return torch.cat([first, first - second, mean, deviation], dim=1)
