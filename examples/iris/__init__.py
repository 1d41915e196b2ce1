"""A model service that logs as evaljob likes it: two versions of an iris classifier, served side by side.

Read log.py first: it is what an application needs to take over. README.md says how to run it.
"""
