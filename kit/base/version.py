"""The version of Venuemesh; pyproject.toml has the same."""

VERSION = "0.1.0"
