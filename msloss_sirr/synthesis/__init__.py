"""Reflections made on photographs: recipes, and what real glass and cameras add."""
