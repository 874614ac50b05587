"""Data sets: which there are, where their images lie, what is wrong with a copy, and copies made ready for training."""
