"""Training data: folders of photos and of pairs, reflections made on photos, and the batches drawn from them."""
