"""From settings to a trained, tested and calibrated checkpoint."""
