"""The bridge from the standard streams of a program to the door for models of a mesh."""
