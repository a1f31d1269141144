"""Questions to the processes of venues: the best prices of now, and the listed instruments."""
