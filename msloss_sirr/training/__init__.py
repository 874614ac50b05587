"""Training a remover: its configuration, the loop, and the folder a run leaves behind."""
