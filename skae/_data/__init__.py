"""Tables and rows: what is read, and in what form it is given back."""
