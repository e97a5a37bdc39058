"""What every chapter uses and no chapter decides: errors, checks, files, paths, progress, tensors, devices, runs."""
