"""Draw a scene, render it: ``Scene = draw(rng)`` holds every random choice, ``Sample = render(scene)`` none."""
