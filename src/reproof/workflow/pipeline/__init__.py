"""Pipelines: stages of dvc.yaml run in order, each with its own record, and verified as a whole."""
