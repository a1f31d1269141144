"""The contracts as others get them: a clone, and the tools they have anyway."""
