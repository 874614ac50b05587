"""Image files as pixels, and pixels as image files; pictures checked, laid over each other, side by side."""
