"""Defects, one type in each module. All modules here are imported, so a new file adds a type."""

import importlib
import pkgutil

from sem_lightning.synthesis.defects.defect import make_settings_types

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
make_settings_types()
