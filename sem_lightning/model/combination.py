"""One answer from several looks at an image."""

import torch
import torch.nn.functional as F
from torch import Tensor

_POWER = 1 / 3  # of the mean of P(good); 1 would be the arithmetic mean, 0 the geometric (docs/real_images.md)


def combine(logits: Tensor, weights: Tensor, wary: bool) -> Tensor:
    """Logits of all looks at each image together: [B, C].

    A small defect is seen by the closest look alone, and the others are sure that there is none. So P(good) is a power
    mean of the looks', in which one that sees a defect outvotes several that see none; the other classes share the rest
    as in the arithmetic mean.

    Args:
        logits: [B, L, C], of each look.
        weights: [B, L], of each look, not all 0; those of looks that are not there are 0.
        wary: Whether the first class is good; else all probabilities are averaged alike.
    """
    log_p = F.log_softmax(logits, dim=2)
    share = weights / weights.sum(dim=1, keepdim=True)
    mean = torch.logsumexp(log_p + share.log().unsqueeze(2), dim=1)
    if not wary:
        return mean
    defect = torch.logsumexp(log_p[:, :, 1:], dim=2)
    # 1 - P(good) keeps its digits where P(good) rounds to 1: thresholds on it tell the surest answers apart
    log_good = torch.where(defect < -1, torch.log1p(-defect.exp()), log_p[:, :, 0])
    lost = (share * torch.expm1(_POWER * log_good)).sum(dim=1, keepdim=True)
    sums = torch.logsumexp(share.log() + _POWER * log_good, dim=1, keepdim=True)
    good = (torch.where(lost > -0.5, torch.log1p(lost), sums) / _POWER).clamp(max=-torch.finfo(logits.dtype).tiny)
    return torch.cat([good, torch.log(-torch.expm1(good)) + F.log_softmax(mean[:, 1:], dim=1)], dim=1)
