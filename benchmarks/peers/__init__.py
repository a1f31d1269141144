"""Other libraries doing the same work. Each file runs in a separate environment, never in ours."""
