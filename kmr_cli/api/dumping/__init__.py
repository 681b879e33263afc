"""A whole data set through a model: in this process, in several, or on a cluster."""
