"""The depth of a photograph: the network that estimates it, other sources, and the ranges it is cut into."""
