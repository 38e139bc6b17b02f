"""Simulated customers, who are written to through the real stack and answer: what does it change for them?

Everything that comes out of here is simulated. How customers respond is an assumption, in `parameters`;
nothing in them knows which arm of an experiment a user has.
"""
