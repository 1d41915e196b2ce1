"""The suite: the laws, against real servers. The fixtures are in conftest.py, the servers in servers.py."""
