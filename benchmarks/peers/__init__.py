"""Other libraries at the same work. Each file runs in an environment of its own, never in ours."""
