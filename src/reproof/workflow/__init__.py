"""One file for each verb: composes the layers, never prints."""
