"""Birchwood, a shop that does not exist, and its five applications that call language models.

`script/server --demo` starts it beside the server. It is an application like a customer's: it knows the SDK, the
providers' own clients and the address of a server, and nothing of the server's insides. `storyline`
says what happens and when.
"""
