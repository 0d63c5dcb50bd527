"""Makes and checks an environment from a lock."""
