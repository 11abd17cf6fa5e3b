"""Training: from settings to a trained, calibrated and tested checkpoint."""
