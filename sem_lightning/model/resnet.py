"""ResNet18 for one grey channel, with a map of defect classes beside the image's class."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

FEATURES = 128 + 256  # of `Prediction.features`


class Prediction(NamedTuple):
    """What the network says of a batch.

    Attributes:
        logits: [B, C], the image's class.
        maps: Class logits of each cell of the last two feature maps, [B, C, H/16, W/16] and [B, C, H/32, W/32].
        features: [B, 384], means of the second and third stage's feature maps. They tell images that are unlike the
            training ones better than the last stage's, which keeps little beside the class (measured: inverted images
            and extreme noise).
    """

    logits: Tensor
    maps: tuple[Tensor, Tensor]
    features: Tensor


# Blocks of each stage. ResNet10 has 44 % of ResNet18's weights and trains nearly twice as fast.
NETWORKS = {"resnet18": (2, 2, 2, 2), "resnet10": (1, 1, 1, 1)}


class GrayResNet(nn.Module):
    """torchvision's ResNet (He et al., CVPR 2016) with a one-channel stem and two 1 x 1 convolutions for the maps.

    The input is standardised image by image (mean 0, deviation 1), so that brightness and contrast, which the
    operator sets, do not matter; being part of the network, this travels into every export.
    """

    def __init__(self, num_classes: int, network: str = "resnet18") -> None:
        super().__init__()
        self.backbone = ResNet(BasicBlock, list(NETWORKS[network]), num_classes=num_classes)
        self.backbone.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.backbone.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.map_heads = nn.ModuleList([nn.Conv2d(channels, num_classes, kernel_size=1) for channels in (256, 512)])

    def forward(self, image: Tensor) -> Prediction:
        """Classify grey images [B, 1, H, W] of any brightness scale."""
        net = self.backbone
        x = standardise(image)
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        middle = net.layer2(net.layer1(x))
        fine = net.layer3(middle)
        coarse = net.layer4(fine)
        logits = net.fc(torch.flatten(net.avgpool(coarse), 1))
        features = torch.cat([middle.mean(dim=(2, 3)), fine.mean(dim=(2, 3))], dim=1)
        return Prediction(logits, (self.map_heads[0](fine), self.map_heads[1](coarse)), features)


def standardise(image: Tensor) -> Tensor:
    """Each image [B, 1, H, W] shifted and scaled to mean 0 and deviation 1; a flat one becomes zeros."""
    deviation, mean = torch.std_mean(image, dim=(1, 2, 3), keepdim=True)
    return (image - mean) / (deviation + 1e-5)
