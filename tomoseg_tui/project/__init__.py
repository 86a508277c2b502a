"""What lies where in a project folder, and how it is changed so that nothing is lost."""
