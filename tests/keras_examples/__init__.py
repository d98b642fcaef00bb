"""How many of Keras's own example scripts run on cnnrs: `make keras-examples KERAS_IO=/path`."""
