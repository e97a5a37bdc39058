"""Makes collections for chairlib: imports folders, collects from the web, screens, reviews, fetches public datasets."""
