"""Decisions (pass the image, name its defect, or ask for review) and the risk bound on escapes."""
