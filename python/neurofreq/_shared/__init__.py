"""What all packages share; nothing here is public."""
