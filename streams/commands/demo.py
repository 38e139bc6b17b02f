"""`holdfast demo`: the whole of it, on generated traffic, in about a minute."""

from streams.commands.output import AsJson


def demo(as_json: AsJson = False) -> None:
    """Show the whole of it in about a minute: history, live traffic, scripts, and the time each took."""
    raise NotImplementedError
