"""Predicts how many bikes are rented in an hour, from the calendar and the weather."""
