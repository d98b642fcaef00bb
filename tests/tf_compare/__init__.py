"""The bridge `cnnrs.compat.tf` compared with TensorFlow."""
