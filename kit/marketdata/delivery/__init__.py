"""From a stream to its readers: positions, subscriptions, conflation."""
