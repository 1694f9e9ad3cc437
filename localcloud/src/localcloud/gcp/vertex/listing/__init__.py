"""How lists are filtered, ordered and cut into pages."""
