"""Are the samples of a batch independent at every layer? ``probes`` run passes and gather, ``rules`` judge.

``check`` runs them in order, ``run`` holds what they know, ``observed`` what probes hand to rules, ``precedence``
decides between findings of one fault, ``report`` and ``unexamined`` say what came of it. ``training`` checks twice
where layers mix by design. May import: evidence, batch, config, the interface of formats, and what stands below them.
"""
