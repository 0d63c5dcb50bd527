"""Comparators: turn two artifacts into one tree of differences."""
