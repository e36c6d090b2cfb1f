"""The warehouse: one private file that is written, and the complete, checked releases of it that everybody reads."""
