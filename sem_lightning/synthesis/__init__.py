"""Draws and renders scenes: ``draw`` makes all random choices of a `Scene`; ``render`` makes none."""

import cv2

# Many small images are spread over processes, and OpenCV's threads would hang a forked process.
cv2.setNumThreads(1)
