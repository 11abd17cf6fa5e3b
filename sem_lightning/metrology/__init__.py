"""What a CD-SEM measures in an image: edges, noise, direction, polarity."""
