"""Deribit: perpetuals, dated futures and options."""
