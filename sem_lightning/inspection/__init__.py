"""Real image files: found, read, freed of what is no image, cut into tiles, and judged."""
