"""Order books by price level (L2), in scaled integers."""
