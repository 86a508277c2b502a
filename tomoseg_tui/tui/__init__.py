"""The full-screen program: seven tabs that use the same workflow functions and jobs as the commands.

The screen starts jobs and watches their folders. Threads read the project and post snapshots; handlers draw
them. Nothing here imports TensorFlow, and numpy is imported only after the first frame is drawn.
"""
