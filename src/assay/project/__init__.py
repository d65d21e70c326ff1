"""What the git repository says: files of DVC and git, parameters, settings of the project.

It reads and writes those files and knows what they mean; what to do about them is decided above.
"""
