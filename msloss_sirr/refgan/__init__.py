"""RefGAN: pix2pix networks that lay reflections on photographs, their training, and the data sets they make."""
