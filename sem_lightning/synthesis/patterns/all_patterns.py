"""All kinds of patterns in the package. Importing this module registers them."""

from sem_lightning.synthesis.patterns.contact_hole import ContactHole
from sem_lightning.synthesis.patterns.freeform import Freeform
from sem_lightning.synthesis.patterns.layout import Layout
from sem_lightning.synthesis.patterns.line_space import LineSpace
from sem_lightning.synthesis.patterns.maze import Maze
from sem_lightning.synthesis.patterns.mixture import Mixture
from sem_lightning.synthesis.patterns.pattern import PatternSettings
from sem_lightning.synthesis.patterns.routing import Routing

__all__ = ["ContactHole", "Freeform", "Layout", "LineSpace", "Maze", "Mixture", "PatternSettings", "Routing"]
