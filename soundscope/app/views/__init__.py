"""One module per page, each with `show(source)`. Figures are asked for in SQL or by one library call; nothing is decided here.

Not called `pages`: Streamlit would take a folder of that name beside `main.py` for pages of its own.
"""
