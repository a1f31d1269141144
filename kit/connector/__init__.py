"""What makes a process a venue: feed, books, trades, hub, orders and services. See README.md."""
