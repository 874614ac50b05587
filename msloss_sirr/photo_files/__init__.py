"""Photographs as files: read and written with all that these hold, 16 bits, metadata and colour profiles."""
