"""Keras models: ``.keras`` archives and ``.h5`` files. Two formats that share how they are read, loaded and tapped.

``describe`` reads the file's bytes; ``run`` loads Keras.
"""
