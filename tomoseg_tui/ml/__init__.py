"""Networks, their training and prediction. The only package that imports TensorFlow."""
