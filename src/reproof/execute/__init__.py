"""Runs a recipe under some isolation."""
