"""Tests of a mesh that has played a long capture. They do not change the mesh."""
