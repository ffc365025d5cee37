"""Building an image a second time, and saying what came out of it."""
