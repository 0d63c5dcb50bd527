"""What can go wrong that the user can put right."""


class BikesError(Exception):
    """The settings, the data or the model cannot be used; the message says which and why."""
