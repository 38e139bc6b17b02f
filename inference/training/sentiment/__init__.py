"""How the sentiment model is made: texts, vocabulary, pre-training, fine-tuning, baseline, export, card.

Needs the extra `train`, as all of the training.
"""
