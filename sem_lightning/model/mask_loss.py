"""The loss on the defect mask: dense supervision of feature maps."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sem_lightning.io.dataset_format import MASK_UNKNOWN

_IGNORED = -100  # ignore_index of cross_entropy


def mask_loss(maps: tuple[Tensor, ...], label: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of every cell of every map, averaged over the cells of a map and summed over the maps.

    Args:
        maps: Class logits [B, C, h, w] each.
        label: The image's class, int64 [B].
        mask: uint8 [B, H, W]: 1 on the defect, 0 elsewhere, ``MASK_UNKNOWN`` where unknown.

    Returns:
        A scalar. The target of a cell is the image's class if the cell touches the defect, else good. Unknown cells do
        not count.
    """
    defect = (mask == 1).float().unsqueeze(1)
    unknown = (mask == MASK_UNKNOWN).float().unsqueeze(1)
    total = torch.zeros((), device=label.device)
    for logits in maps:
        cells = F.adaptive_max_pool2d(defect, logits.shape[2:]).squeeze(1).long() * label[:, None, None]
        hidden = F.adaptive_max_pool2d(unknown, logits.shape[2:]).squeeze(1) > 0
        counted = (~hidden).sum().clamp(min=1)
        loss = F.cross_entropy(logits, cells.masked_fill(hidden, _IGNORED), ignore_index=_IGNORED, reduction="sum")
        total = total + loss / counted
    return total
