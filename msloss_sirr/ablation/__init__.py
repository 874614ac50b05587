"""Trainings that differ in one thing, over several seeds, and what the difference comes to."""
