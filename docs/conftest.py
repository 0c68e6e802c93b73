"""Pages are tested as doctests; what Sphinx reads and writes is not a page."""

collect_ignore = ["conf.py", "check_site.py"]
collect_ignore_glob = ["gallery/*", "generated/*", "_build/*"]
