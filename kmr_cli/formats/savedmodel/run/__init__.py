"""Runs part of a SavedModel's graph with taps; imports TensorFlow once a model is opened."""
