"""What an estimate of the layers is measured by: pixels, gradients and features."""
