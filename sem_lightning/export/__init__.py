"""Exports classifiers into folders that run without torch, each checked against its checkpoint."""
