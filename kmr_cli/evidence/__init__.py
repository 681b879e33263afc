"""From perturbed passes to owners: which samples every element of every tapped tensor depends on.

Offers the passes of a check (``passes``), of a sample (``sample``), the batch index (``owners``) and the layers where
something begins (``sources``). Pure NumPy. May import: batch, the interface of formats, and what stands below them.
"""
