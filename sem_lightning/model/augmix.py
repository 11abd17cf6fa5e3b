"""AugMix: consistency between an image and mixtures of augmentations that do not change its class.

Hendrycks et al., AugMix: a simple data processing method to improve robustness and uncertainty, ICLR 2020. Their
augmentations rotate and shear photographs. The augmentations here model image processing between microscope and
file: tone curves, contrast, smoothing, sharpening, noise, lost resolution.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MIXTURES = 2  # mixtures of each image
CHAINS, LONGEST = 2, 3  # chains in a mixture, besides the image itself; most augmentations in a chain
Change = Callable[[Tensor, torch.Generator], Tensor]


def uniform(images: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    """One uniform random number for each image: float32 [B, 1, 1, 1]."""
    return low + (high - low) * torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device)


def tone(images: Tensor, generator: torch.Generator) -> Tensor:
    """A power of the brightness with an exponent from 1/2 to 2."""
    return images ** uniform(images, generator, -1, 1).exp2()


def contrast(images: Tensor, generator: torch.Generator) -> Tensor:
    """Gain around the image's mean. The network's standardisation cancels it unless the chain continues."""
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    return middle + uniform(images, generator, 0.5, 1.5) * (images - middle)


def neighbourhood(images: Tensor) -> Tensor:
    """Mean of the 3 x 3 pixels around each pixel."""
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def smoothing(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blend of each pixel with the mean of its neighbourhood."""
    return torch.lerp(images, neighbourhood(images), uniform(images, generator, 0, 1))


def sharpening(images: Tensor, generator: torch.Generator) -> Tensor:
    """An unsharp mask, as in microscope software."""
    return images + uniform(images, generator, 0.3, 1.5) * (images - neighbourhood(images))


def noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """White noise of 2 to 12 % of the range."""
    white = torch.randn(images.shape, generator=generator, device=images.device)
    return images + uniform(images, generator, 0.02, 0.12) * white


def lost_resolution(images: Tensor, generator: torch.Generator) -> Tensor:
    """Reduction to two thirds of the resolution and back."""
    fewer = [2 * side // 3 for side in images.shape[2:]]
    small = F.interpolate(images, size=fewer, mode="bilinear", align_corners=False)
    return F.interpolate(small, size=images.shape[2:], mode="bilinear", align_corners=False)


CHANGES: tuple[Change, ...] = (tone, contrast, smoothing, sharpening, noise, lost_resolution)


def generator_for(seed: int, epoch: int, batch_index: int, rank: int, device: torch.device) -> torch.Generator:
    """The random numbers of one batch: a function of its position, so that a resumed training draws the same ones."""
    place = np.random.SeedSequence((seed, epoch, batch_index, rank))
    return torch.Generator(device).manual_seed(int(place.generate_state(1)[0]))


def mix(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image mixed with the results of chains of random augmentations.

    Args:
        images: Floating-point [B, 1, H, W], 0 to 1.
        generator: On the images' device.

    Returns:
        float32 [B, 1, H, W]. The shares of the image and its chains are uniform on the simplex.
    """
    images = images.float()
    # normalised exponential draws, none of them 0 or infinite
    shares = torch.empty((CHAINS + 1, len(images), 1, 1, 1), device=images.device).exponential_(generator=generator)
    shares = shares / shares.sum(dim=0)
    mixed = shares[0] * images
    for share in shares[1:]:
        mixed = mixed + share * _change(images, generator)
    return mixed


def _change(images: Tensor, generator: torch.Generator) -> Tensor:
    """Apply a chain of one to three augmentations, drawn for each image."""
    count = len(images)
    lengths = torch.randint(1, LONGEST + 1, (count,), generator=generator, device=images.device)
    changed = images.clamp(0, 1)
    for step in range(LONGEST):
        kinds = torch.randint(len(CHANGES), (count,), generator=generator, device=images.device)
        for kind, change in enumerate(CHANGES):
            chosen = ((kinds == kind) & (step < lengths)).nonzero()[:, 0]
            if len(chosen):
                changed[chosen] = change(changed[chosen], generator).clamp(0, 1)
    return changed


def jensen_shannon(logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence of several outputs for the same images, in nats, averaged over the images.

    Args:
        logits: [N, B, C]: N outputs for each of B images.
    """
    each = logits.float().log_softmax(dim=2)
    mean = (torch.logsumexp(each, dim=0) - math.log(len(each))).expand_as(each)
    divergence: Tensor = F.kl_div(mean, each, reduction="none", log_target=True).sum(dim=2).mean()
    return divergence
