"""Pickles read as data: nothing is imported, nothing is called, trees of neutral nodes are compared."""
