"""Image files: which there are, from file to pixels, and from pixels to file."""
