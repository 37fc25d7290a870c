"""What comes in: checks of arguments, arrays, and recordings in tables."""
