"""Saliency: which pixels the logits depend on, by captum's gradients."""

import cv2
import numpy as np
from torch import Tensor, nn

from sem_lightning.errors import UserError

_SMOOTHING = 1 / 32  # of the image: finer detail of a gradient is noise


def check_captum() -> None:
    """Refuse early where the extra is not installed.

    Raises:
        UserError: It is not.
    """
    try:
        import captum.attr  # noqa: F401
    except ImportError:
        raise UserError("explaining needs the extra: pip install 'sem-lightning[explain]'") from None


def saliency(network: nn.Module, images: Tensor, targets: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """How much each pixel moves the logit of its image's target class.

    The absolute gradient (K. Simonyan et al., ICLR workshop 2014), smoothed. It points at defects better than the finer
    and costlier methods that were tried, see docs/results/decisions.md.

    Args:
        network: Gives `sem_lightning.model.network.NetworkOutput`, on the images' device.
        images: float32 [B, 1, H, W].
        targets: int64 [B].

    Returns:
        float32 [B, H, W], at most 1 in each image.

    Raises:
        UserError: Without the extra ``explain``.
    """
    check_captum()
    from captum.attr import Saliency

    inputs = images.detach().clone().requires_grad_()
    gradients = Saliency(lambda x: network(x).logits).attribute(inputs, target=targets)
    maps = gradients[:, 0].detach().cpu().numpy().astype(np.float32)
    smoothed = np.stack([cv2.GaussianBlur(one, (0, 0), max(one.shape) * _SMOOTHING) for one in maps])
    peaks = smoothed.max(axis=(1, 2), keepdims=True)
    return np.asarray(smoothed / np.maximum(peaks, np.float32(1e-12)), np.float32)
