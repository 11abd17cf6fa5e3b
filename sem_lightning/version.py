"""The package's version and its folder."""

from pathlib import Path

__version__ = "0.1.0"
PACKAGE_FOLDER = Path(__file__).parent
