"""Draw a scene, render it: ``Scene = draw(rng)`` holds every random choice, ``Sample = render(scene)`` none."""

import cv2

# Images are small and many: they are spread over processes. OpenCV's own threads would also hang a forked one.
cv2.setNumThreads(1)
