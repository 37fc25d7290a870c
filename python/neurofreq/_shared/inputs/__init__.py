"""Check arguments, arrays and recordings in tables."""
