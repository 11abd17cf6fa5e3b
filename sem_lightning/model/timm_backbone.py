"""Backbones of timm, with one input channel."""

from typing import Any

from torch import Tensor, nn

from sem_lightning.errors import SettingError, missing_extra

_STRIDES = (8, 16, 32)


class TimmBackbone(nn.Module):
    """A network of timm with random weights that returns feature maps at strides 8, 16 and 32.

    Args:
        name: A name from `timm.list_models`. Other names are refused because timm would download ``hf-hub:`` names.

    Raises:
        UserError: The extra ``timm`` is not installed.
        SettingError: No such network, or one without these feature maps.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            import timm
        except ImportError:
            raise missing_extra("timm", "model=timm") from None
        if name not in timm.list_models():
            near = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:8]) or "see timm.list_models()"
            raise SettingError("name", f"found {name!r}, which is none of timm's networks; near: {near}")
        try:
            body: Any = timm.create_model(name, pretrained=False, in_chans=1, features_only=True)
            found = body.feature_info.reduction()
            places = [found.index(stride) for stride in _STRIDES]
        except (ValueError, RuntimeError, AttributeError, AssertionError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SettingError("name", f"{name} gives no feature maps at strides 8, 16 and 32 ({reason})") from None
        self._places = places
        self.body = body
        self.channels = tuple(body.feature_info.channels()[place] for place in places)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps of images, float32 [B, 1, H, W]."""
        maps = self.body(x)
        middle, fine, coarse = (maps[place] for place in self._places)
        return middle, fine, coarse
