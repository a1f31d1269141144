"""A mesh on a pretended market, from its first tick on: in the shell and in the browser."""
