"""Strategies: what they are, how they are loaded from files, and the signals they raise on bars."""
