"""Labelled images for training: simulated on the fly or read from disk, and written to disk."""
