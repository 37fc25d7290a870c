"""Kept files: written whole, checked when read, claimed by one process."""
