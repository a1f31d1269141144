"""What every process shares. It knows no venue and no service."""
