"""Loads a TorchScript module and puts taps into its graphs; imports torch once a model is opened."""
