"""Renders a verdict or a record as text, JSON, HTML, JUnit or Markdown."""
