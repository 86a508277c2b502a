"""What several tests share: projects made for them, and ways to start and watch the program."""
