"""KLARF files: reads the defects of a lot and their images, and writes class numbers back without another change."""
