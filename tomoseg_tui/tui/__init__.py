"""The full-screen program: seven tabs over the same recipes and jobs that the commands use.

The screen starts jobs and watches their folders. Threads read the project and post facts; handlers draw
them. Nothing here imports TensorFlow, and numpy wakes only after the first frame stands.
"""
