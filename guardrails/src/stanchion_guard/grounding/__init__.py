"""Does a text stand on its sources? A claim is compared with evidence by its words."""
