"""The chart of the mesh for Kubernetes, and what its pods run besides the processes."""
