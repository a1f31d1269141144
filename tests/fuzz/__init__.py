"""Fuzzing of the compiled readers; see CONTRIBUTING.md."""
