"""The commands, one module each; `main` has the table of them."""
