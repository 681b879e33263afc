"""The operators of a TensorFlow graph, with sizes that are exact for every batch size: what the proof reads.

The graph comes from a SavedModel's bytes, or from a Keras model that TensorFlow traced. May import describe.
"""
