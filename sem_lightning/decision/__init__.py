"""What is done with an image: pass it, call its defect, or send it to a person; and what is promised about that."""
