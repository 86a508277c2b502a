"""Networks, their training and their predictions. The only room where TensorFlow wakes."""
