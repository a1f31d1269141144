"""Strategies: their definition, their loading from files, and their signals on bars."""
