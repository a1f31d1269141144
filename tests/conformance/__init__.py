"""The conformance cards, against all connectors and against broken ones."""
