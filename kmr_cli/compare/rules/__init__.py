"""The rules of a comparison: one file a rule, or a family of rules that exclude each other."""
