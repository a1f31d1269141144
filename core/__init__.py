"""The core services: one folder per process."""
