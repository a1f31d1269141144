"""Long runs in which processes are killed at random, each followed by a comparison."""
