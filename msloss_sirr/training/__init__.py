"""The training of removers: its configuration and presets, what is learned from, and what is kept of it."""
