"""Thin doors into other tools."""
