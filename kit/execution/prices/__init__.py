"""The market data that an account uses."""
