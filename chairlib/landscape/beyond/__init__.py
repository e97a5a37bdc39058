"""What goes beyond the paper: matching of units, similarity of layers, soups, criticality, shorter pretrainings."""
