"""Books that are proven or in doubt."""
