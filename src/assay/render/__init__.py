"""What people look at: tables for the terminal, Markdown, plots, and pages in one file.

Everything here takes data that is already read and gives text back; nothing here knows where
the data came from.
"""
