"""A user's network: how it is called, read, told apart and judged."""
