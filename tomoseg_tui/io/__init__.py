"""Read and write file formats as arrays. Independent of the project folder."""
