"""ImageNet weights for the one-channel ResNet18."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights

from sem_lightning.errors import UserError
from sem_lightning.model.checkpoint import load_tensors


def load_pretrained(backbone: nn.Module, weights_path: Path | None) -> None:
    """Fill a one-channel ResNet18 with RGB ImageNet weights; the stem's three colours are summed.

    The summed stem responds to a grey image as the RGB stem does to three equal channels. The final layer keeps
    its own weights because its classes differ.

    Args:
        backbone: ResNet18 with a one-channel ``conv1``.
        weights_path: A state dict of torchvision's ResNet18; ``None`` downloads the ImageNet weights or takes them from
            torch's cache.

    Raises:
        UserError: The file is missing, damaged or holds other weights, or the download fails.
    """
    if weights_path is None:
        weights_path = _download()
    state = read_weights(weights_path)
    if state["conv1.weight"].shape[1] == 3:
        state["conv1.weight"] = state["conv1.weight"].sum(dim=1, keepdim=True)
    own = backbone.state_dict()
    for name in own:
        if name.startswith("fc.") or name.endswith("num_batches_tracked"):  # older files lack the latter
            state[name] = own[name]
    wrong = [name for name in own if name not in state or own[name].shape != state[name].shape]
    if wrong:
        raise UserError(f"{weights_path}: not ResNet18 weights ({len(wrong)} tensors differ, first {wrong[0]})")
    if not any(bool(state[name].any()) for name in own if name.endswith("running_mean")):
        raise UserError(f"{weights_path}: all batch-norm statistics are zero: these weights were never trained")
    backbone.load_state_dict({name: state[name] for name in own})


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from a file; only tensors are unpickled.

    Raises:
        UserError: No such file, or not a state dict with a ResNet stem.
    """
    state = load_tensors(path, "a file of PyTorch weights")
    if not isinstance(state.get("conv1.weight"), Tensor):
        raise UserError(f"{path}: not a state dict of a ResNet (it has no tensor conv1.weight)")
    return state


def _download() -> Path:
    """Torchvision's ImageNet weights in torch's cache, downloaded if necessary and checked against their hash."""
    url = ResNet18_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.split("-")[1], progress=True)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"model.pretrained=true: cannot download {url} ({error}); fetch it elsewhere and put it at {path}, "
                "or name a local file with model.weights_path="
            ) from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(path.stem.split("-")[1]):
        raise UserError(f"{path}: damaged or not ImageNet's ResNet18 (SHA-256 {digest[:8]}...); delete it and retry")
    return path
