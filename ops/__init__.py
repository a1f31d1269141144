"""Running Venuemesh: the command line, the local supervisor, checks and packaging."""
