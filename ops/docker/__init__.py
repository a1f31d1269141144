"""Files for containers."""
