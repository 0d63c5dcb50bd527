"""`reproof build`: packages and images under control, proven by a second build with everything varied."""
