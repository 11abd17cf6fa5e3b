"""A person looks at images: which ones first, what was said of them, and what follows from it."""
