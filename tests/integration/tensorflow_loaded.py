"""Loads TensorFlow as a command that needs it does, without its greeting."""

from recsys.cli.tensorflow_loading import load_for

load_for("train_challenger")
