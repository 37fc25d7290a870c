"""Call a user's network, read its layers, identify it, and check its outputs."""
