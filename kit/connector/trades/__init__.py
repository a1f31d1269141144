"""Every trade once and in order."""
