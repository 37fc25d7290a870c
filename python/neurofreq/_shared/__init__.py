"""Private code that several packages use; nothing here is public."""
