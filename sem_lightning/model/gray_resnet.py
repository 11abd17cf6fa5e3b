"""ResNet of basic blocks for one grey channel.

The layers and their names are those of torchvision's ResNet (He et al., CVPR 2016), so that its weights load. This
module replaces torchvision because the import is slow; a test compares the two.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        result: Tensor = self.relu(x + shortcut)
        return result


def _stage(blocks: int, channels_in: int, channels: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))


class GrayResNet(nn.Module):
    """The backbone: feature maps at strides 8, 16 and 32.

    Args:
        blocks: Number of basic blocks in each of the four stages.
        width: Channels of the first stage; each further stage has twice as many.
        inputs: Channels of the input.
    """

    def __init__(self, blocks: tuple[int, int, int, int], width: int, inputs: int = 1) -> None:
        super().__init__()
        self.channels = (2 * width, 4 * width, 8 * width)
        self.conv1 = nn.Conv2d(inputs, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(blocks[0], width, width, stride=1)
        self.layer2 = _stage(blocks[1], width, 2 * width, stride=2)
        self.layer3 = _stage(blocks[2], 2 * width, 4 * width, stride=2)
        self.layer4 = _stage(blocks[3], 4 * width, 8 * width, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps of images, float32 [B, inputs, H, W]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        middle = self.layer2(self.layer1(x))
        fine = self.layer3(middle)
        return middle, fine, self.layer4(fine)

    def stem_modules(self) -> list[nn.Module]:
        """The modules that ``frozen=stem`` freezes."""
        return [self.conv1, self.layer1]

    def batch_norm_pairs(self) -> Iterator[tuple[nn.Module, str, str]]:
        """Pairs of a convolution and its batch norm: their parent module and their names in it."""
        yield self, "conv1", "bn1"
        for block in self.modules():
            if isinstance(block, BasicBlock):
                yield block, "conv1", "bn1"
                yield block, "conv2", "bn2"
                if block.downsample is not None:
                    yield block.downsample, "0", "1"


class PlaceResNet(GrayResNet):
    """The backbone for places of a pair: the quarters of a grey picture are its four channels.

    An image, its reference and their differences so travel as one grey picture through everything that reads, stores
    and judges pictures (`sem_lightning.inspection.place_picture`).
    """

    def __init__(self, blocks: tuple[int, int, int, int], width: int) -> None:
        super().__init__(blocks, width, inputs=4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps of pictures, float32 [B, 1, 2 H, 2 W]."""
        height, width = x.shape[2] // 2, x.shape[3] // 2
        halves = (x[:, :, :height], x[:, :, height:])
        quarters = [quarter for half in halves for quarter in (half[..., :width], half[..., width:])]
        return super().forward(torch.cat(quarters, dim=1))
