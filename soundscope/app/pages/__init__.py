"""One module per page, each with `show(source)`. Figures are asked for in SQL or by one library call; nothing is decided here."""
