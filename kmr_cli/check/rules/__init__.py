"""The rules of the check: one file a rule, or a family of rules that exclude each other."""
