"""Measurements in images: edges, noise, orientation, pattern family, polarity."""
