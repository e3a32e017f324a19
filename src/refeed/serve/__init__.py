"""A server for model folders: an HTTP interface, live ratings, and a page to click on.

It needs the extra `serve` (`pip install 'refeed[serve]'`); nothing outside this package imports it before
`refeed serve` is called.
"""
