"""What was measured, and the numbers with intervals that are made of it."""
