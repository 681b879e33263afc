"""From perturbed passes to owners: which samples every element of every tapped tensor depends on.

Offers the comparison of a pass with the unchanged one (``baseline``), the passes of a check (``passes``) and those of
a sample (``sample``, ``verifier``), the batch index (``owners``) and the layers where something begins (``sources``).
Pure NumPy. May import: batch, the interface of formats, and what stands below them.
"""
