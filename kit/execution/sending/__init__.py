"""The way of an order to the venue: submitted, sent, amended, retried, and its outcome resolved."""
