"""Compares an image with its design: a clip of a layout, or a mask."""

from sem_lightning.inspection.design.design import Design, open_design

__all__ = ["Design", "open_design"]
