"""Golden vectors for the clients of all languages."""
