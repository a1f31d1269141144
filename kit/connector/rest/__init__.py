"""A venue's REST side, within what it allows."""
