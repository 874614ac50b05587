"""The loop of any training, whatever is trained: epochs, processes, the folder of a run, and going on from there."""
