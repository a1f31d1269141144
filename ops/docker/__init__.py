"""What a container of the mesh needs beside its process."""
