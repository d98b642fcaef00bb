"""Other libraries' names over cnnrs: `cnnrs.compat.tf` has those of TensorFlow that Keras scripts use."""
