"""What every process needs: runtime, settings, errors, numbers, clock, stores."""
