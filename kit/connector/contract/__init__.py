"""What a venue supplies, and how venues are found."""
