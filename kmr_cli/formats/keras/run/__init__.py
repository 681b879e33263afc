"""Loads a Keras model and observes its layers; imports Keras once a model is opened."""
