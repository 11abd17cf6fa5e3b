"""Labelled images for training: simulated on the fly or read from disk; writes sets to disk."""
