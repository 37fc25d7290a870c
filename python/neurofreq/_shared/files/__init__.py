"""Write files atomically, check them when read, and lock them between processes."""
