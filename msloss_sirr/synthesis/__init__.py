"""Reflections made on photographs, and other degradations."""
