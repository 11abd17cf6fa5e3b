"""Writing a labelled set of simulated images to disk."""
