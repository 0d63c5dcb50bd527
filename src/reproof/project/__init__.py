"""Reads what the user's project says: MLproject, environment files, settings, DVC."""
