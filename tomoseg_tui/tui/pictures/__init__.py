"""Pictures of tiles, triples and maps, made for canvases from arrays that threads have read."""
