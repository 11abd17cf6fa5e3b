"""Saliency from captum's gradients: the pixels on which the logits depend."""

import cv2
import numpy as np
from torch import Tensor, nn

from sem_lightning.errors import missing_extra

_SMOOTHING = 1 / 32  # share of the image; finer detail of the gradient is noise


def check_captum() -> None:
    """Check early that the extra is installed.

    Raises:
        UserError: The extra ``explain`` is not installed.
    """
    try:
        import captum.attr  # noqa: F401
    except ImportError:
        raise missing_extra("explain", "explain") from None


def saliency(network: nn.Module, images: Tensor, targets: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The effect of each pixel on the logit of its image's target class.

    The smoothed absolute gradient (K. Simonyan et al., ICLR workshop 2014). It localises defects better than the more
    expensive methods in docs/results/decisions.md.

    Args:
        network: Returns `sem_lightning.model.network.NetworkOutput`; on the images' device.
        images: float32 [B, 1, H, W].
        targets: int64 [B].

    Returns:
        float32 [B, H, W], at most 1 in each image.

    Raises:
        UserError: The extra ``explain`` is missing.
    """
    check_captum()
    from captum.attr import Saliency

    inputs = images.detach().clone().requires_grad_()
    gradients = Saliency(lambda x: network(x).logits).attribute(inputs, target=targets)
    maps = gradients[:, 0].detach().cpu().numpy().astype(np.float32)
    smoothed = np.stack([cv2.GaussianBlur(one, (0, 0), max(one.shape) * _SMOOTHING) for one in maps])
    peaks = smoothed.max(axis=(1, 2), keepdims=True)
    return np.asarray(smoothed / np.maximum(peaks, np.float32(1e-12)), np.float32)
