"""The classifier at work: an HTTP service."""
