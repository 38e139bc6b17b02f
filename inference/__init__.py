"""The language model: prompt, client, Triton's command line and repositories, training.

Only this package imports tritonclient, and only `inference.training` imports torch.
"""
