"""The Predictor: from image files to decisions. It is the only code that runs a classifier."""
