"""The vocabulary of holdfast: what travels on the topics, and nothing else.

Nothing here knows an engine, a clock or a model, and no other package of ours is imported.
"""
