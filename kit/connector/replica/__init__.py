"""Two processes of one venue: readers take the first copy of each event."""
