"""Names that a user gave, as matplotlib prints them and not as it reads them."""


def literal(name: str) -> str:
    """Return a name whose dollars are no formula and whose underscore hides nothing.

    Parameters
    ----------
    name : str
    """
    return " " * name.startswith("_") + name.replace("$", r"\$")
