"""How the small model is made: corpus, tokenizer, training, evaluation, export.

Needs the extra `train`. Nothing outside this package imports it, but for the command that starts it.
"""
