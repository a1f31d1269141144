"""What makes a process a venue: from frames to numbered batches, and the services around them."""
