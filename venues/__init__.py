"""The connectors: one folder per exchange API."""
