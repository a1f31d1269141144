"""A mesh on a simulated market, from its first tick on: in the shell and in the browser."""
