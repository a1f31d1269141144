"""What a mesh that has played a long capture tells of it. None of these tests changes it."""
