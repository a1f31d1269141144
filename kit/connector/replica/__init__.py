"""Two processes of one venue, of which readers take the first of each event."""
