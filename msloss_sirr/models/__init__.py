"""Networks that take a photograph through glass apart, and their checkpoints."""
